# Of a database that is exposed, as `orders` is, these are the addresses of its published port,
# which the machine that runs Terraform can reach where it is berthd's own.
ephemeral "berth_database_credentials" "orders" {
  database_id = berth_database.orders.id
}

# Ephemeral values may configure providers and stand in the environment of a command.
resource "terraform_data" "schema" {
  triggers_replace = [filesha256("${path.module}/schema.sql")]

  provisioner "local-exec" {
    command = "psql --set ON_ERROR_STOP=1 --single-transaction -f ${path.module}/schema.sql \"$DATABASE_URL\""
    environment = {
      # The published port is the pooler's. One transaction is all that this needs of it; tools
      # that want a session of their own go by `berthd run`, which reaches the engine.
      DATABASE_URL = ephemeral.berth_database_credentials.orders.pooled_uri
    }
  }
}
