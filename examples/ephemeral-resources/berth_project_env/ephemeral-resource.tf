ephemeral "berth_project_env" "shop" {
  project_id = berth_project.shop.id

  # Without this it is opened as soon as there is a project, which has no variables yet.
  depends_on = [berth_database.orders]
}

# The command runs beside Terraform: it gets the published port of what is exposed.
resource "terraform_data" "seed" {
  triggers_replace = [filesha256("${path.module}/schema.sql")]

  provisioner "local-exec" {
    command     = "./seed"
    environment = ephemeral.berth_project_env.shop.variables
  }
}
