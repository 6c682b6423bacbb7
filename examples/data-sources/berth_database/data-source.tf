data "berth_database" "orders" {
  name       = "orders"
  project_id = "shop"
}

# What changes by itself is here, and in no resource: plans stay silent.
check "orders_has_room" {
  assert {
    condition     = coalesce(data.berth_database.orders.storage_used_bytes, 0) < 15 * pow(1000, 3)
    error_message = "orders holds more than 15 GB"
  }
}
