ephemeral "berth_database_credentials" "orders" {
  database_id = berth_database.orders.id
}

# For instance for a provider that works inside the database.
provider "postgresql" {
  host      = ephemeral.berth_database_credentials.orders.host
  port      = ephemeral.berth_database_credentials.orders.port
  username  = ephemeral.berth_database_credentials.orders.username
  password  = ephemeral.berth_database_credentials.orders.password
  database  = ephemeral.berth_database_credentials.orders.database
  sslmode   = ephemeral.berth_database_credentials.orders.ssl_mode
  superuser = false
}
