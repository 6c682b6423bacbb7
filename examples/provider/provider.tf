terraform {
  required_providers {
    berth = { source = "berth-dev/berth" }
  }
}

# With neither endpoint nor token, here or in BERTH_ENDPOINT and BERTH_TOKEN, the provider talks
# to the berthd of this machine.
provider "berth" {
  endpoint   = "https://berth.example.org"
  token_file = "/run/secrets/berth-token"
  project    = "shop" # of resources that name none
}
