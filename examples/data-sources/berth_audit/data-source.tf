data "berth_audit" "orders" {
  database_id = berth_database.orders.id
  since       = "2026-01-01T00:00:00Z"
  limit       = 20
}

# The newest first.
output "who_changed_orders" {
  value = [
    for event in data.berth_audit.orders.events : "${event.at} ${event.actor}: ${event.message}"
    if length(event.changes) > 0
  ]
}
