ephemeral "berth_database_credentials" "orders" {
  database_id = berth_database.orders.id
}

# Ephemeral values may configure providers and stand in the environment of a command.
resource "terraform_data" "schema" {
  triggers_replace = [filesha256("${path.module}/schema.sql")]

  provisioner "local-exec" {
    command = "psql --single-transaction -f ${path.module}/schema.sql \"$DATABASE_URL\""
    environment = {
      # Past the pooler: migrations want a session of their own.
      DATABASE_URL = ephemeral.berth_database_credentials.orders.uri
    }
  }
}
