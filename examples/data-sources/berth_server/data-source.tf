data "berth_server" "here" {}

output "memory_left_mb" {
  value = data.berth_server.here.capacity.memory_mb_allowed - data.berth_server.here.capacity.memory_mb_promised
}
