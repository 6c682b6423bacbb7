data "berth_regions" "all" {}

output "default_region" {
  value = data.berth_regions.all.regions[0].name
}
