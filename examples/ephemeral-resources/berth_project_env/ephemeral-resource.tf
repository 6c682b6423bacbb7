ephemeral "berth_project_env" "shop" {
  project_id = berth_project.shop.id
}

resource "terraform_data" "seed" {
  triggers_replace = [filesha256("${path.module}/schema.sql")]

  provisioner "local-exec" {
    command     = "./seed"
    environment = ephemeral.berth_project_env.shop.variables
  }
}
