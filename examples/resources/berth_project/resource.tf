resource "berth_project" "shop" {
  name           = "shop"
  description    = "Orders and stock"
  default_region = "local"
  on_destroy     = "refuse" # destroying a project that has databases is an error
  tags           = { team = "sales" }
}
