variable "anna" {
  description = "The id of a user, as `berthd user list` shows it."
  type        = string
}

resource "berth_project_member" "anna" {
  project_id = berth_project.shop.id
  user_id    = var.anna
  role       = "editor" # or viewer, or owner
}
