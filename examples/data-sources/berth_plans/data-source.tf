data "berth_plans" "all" {}

output "plans_with_2_gb" {
  value = [for plan in data.berth_plans.all.plans : plan.name if plan.memory_mb >= 2048]
}
