data "berth_project" "shop" {
  name = "shop"
}

# Containers that join it reach the project's databases.
output "network" {
  value = data.berth_project.shop.network_name
}
