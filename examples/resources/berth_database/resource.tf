resource "berth_database" "orders" {
  name       = "orders"
  project_id = berth_project.shop.id
  engine     = "postgresql"
  version    = "17"
  plan       = "db-s-1vcpu-1gb"
  storage_gb = 20

  pooler = {
    mode                   = "transaction"
    default_pool_size      = 20
    max_client_connections = 100
  }

  # Published on the host's loopback address, for what runs outside the project's network.
  expose = true

  # Raise it for a new password: in place, proven by a login before the apply ends.
  credential_version = 1

  # Both are the defaults. A destroyed database comes back within the window.
  deletion_protection  = true
  recovery_window_days = 7

  timeouts {
    create = "10m"
  }
}
