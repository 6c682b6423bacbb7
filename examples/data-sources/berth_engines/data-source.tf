data "berth_engines" "all" {}

output "postgresql_versions" {
  value = flatten([
    for engine in data.berth_engines.all.engines : [
      for version in engine.versions : version.version if version.unavailable == null
    ] if engine.name == "postgresql"
  ])
}
