resource "berth_token" "ci" {
  name       = "ci"
  project_id = berth_project.shop.id
  scopes     = ["read", "plan", "write", "credentials"] # no unprotect: what it destroys comes back
  expires_at = "2030-01-31T12:00:00Z"                   # moved in place; the secret stays
}
