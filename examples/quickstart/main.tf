# A PostgreSQL behind a PgBouncer, and the proof that a program can log in and write.

terraform {
  # Ephemeral resources, in Terraform and in OpenTofu.
  required_version = ">= 1.11"

  required_providers {
    berth = { source = "berth-dev/berth" }
  }
}

# Where berthd is and with which token comes from BERTH_ENDPOINT and BERTH_TOKEN; with neither,
# from the berthd of this machine.
provider "berth" {}

resource "berth_project" "shop" {
  name                = "quickstart"
  description         = "What make demo builds"
  deletion_protection = false
}

resource "berth_database" "orders" {
  name       = "orders"
  project_id = berth_project.shop.id
  engine     = "postgresql"
  version    = "17"

  pooler = {
    mode                   = "transaction"
    default_pool_size      = 20
    max_client_connections = 100
  }

  # Published on this machine's loopback address, so that a program outside containers gets in.
  expose = true

  # A demonstration has to leave nothing behind. In earnest drop these two lines, here and in the
  # project: a database is then protected, and stays recoverable for 7 days after its destruction.
  deletion_protection  = false
  recovery_window_days = 0
}

# Ephemeral: read anew in each run, never written to the state or to a plan file.
ephemeral "berth_database_credentials" "orders" {
  database_id = berth_database.orders.id
}

# An output of the root module cannot be ephemeral, but the environment of a command can.
resource "terraform_data" "proof" {
  triggers_replace = [berth_database.orders.id, berth_database.orders.credential_version]

  provisioner "local-exec" {
    command = "berthd check-login"
    environment = {
      BERTH_URI = ephemeral.berth_database_credentials.orders.pooled_uri
    }
  }
}

output "address" {
  description = "Where programs on this machine connect"
  value       = "${berth_database.orders.public_host}:${berth_database.orders.public_port}"
}

output "address_in_project_network" {
  description = "Where containers in the project's network connect"
  value       = "${berth_database.orders.pooler_host}:${berth_database.orders.pooler_port}"
}

output "network" {
  description = "The container network to join"
  value       = berth_project.shop.network_name
}
