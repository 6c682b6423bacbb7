ephemeral "berth_token_secret" "ci" {
  token_id = berth_token.ci.id
}

# The same secret each time: handing it over again ends nothing that uses it.
resource "terraform_data" "hand_over" {
  triggers_replace = [berth_token.ci.id]

  provisioner "local-exec" {
    command = "gh secret set BERTH_TOKEN --body \"$SECRET\""
    environment = {
      SECRET = ephemeral.berth_token_secret.ci.secret
    }
  }
}
