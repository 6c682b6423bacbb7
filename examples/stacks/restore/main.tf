# Brings a destroyed database back: its rows, its id, its login and its password. `berthd trash
# list` names what can be restored, and importing such an id prints this block filled in.

terraform {
  required_providers {
    berth = { source = "berth-dev/berth" }
  }
}

variable "deleted_database_id" {
  description = "The id of a destroyed database (db_…)"
  type        = string
}

resource "berth_database" "orders" {
  name = "orders"

  # Acts once, at create. It may stay or go afterwards; neither changes the database.
  restore_from = {
    deleted_database_id = var.deleted_database_id
  }
}
