pipeline "p" {}
variable "epochs" {
  default = 3
}
locals {
  a = local.b
  b = local.c
  c = local.a # ERROR: Circular reference | local.a -> local.b -> local.c -> local.a
  d = local.e # ERROR: Reference to undeclared name | No local value "e" is declared.
  self = local.self # ERROR: Circular reference | local.self -> local.self
}
dataset "d" {
  format = "imagefolder"
  path   = "data"
}
dataset "u" {
  union = [dataset.d, dataset.w]
}
dataset "w" {
  union = [dataset.u] # ERROR: Circular reference | dataset.u -> dataset.w -> dataset.u
}
model "resnet" {
  name = "resnet18"
}
train "t" {
  model   = model.resent # ERROR: Reference to undeclared name | Did you mean "resnet"?
  dataset = "dataset.d" # ERROR: Invalid reference | References have no quotes.
  epochs  = var.epoch # ERROR: Reference to undeclared name | Did you mean "epochs"?
}
train "wrong_kind" {
  model   = dataset.d # ERROR: Invalid reference | must name a model block
  dataset = dataset.d
  epochs  = each.value # ERROR: Reference to undeclared name | only in a step with for_each
}
train "loop" {
  model   = model.resnet
  dataset = dataset.d
  epochs  = 2
  start {
    checkpoint = train.loop2.best
  }
}
train "loop2" {
  model      = model.resnet
  dataset    = dataset.d
  epochs     = 2
  depends_on = [train.loop] # ERROR: Circular reference | train.loop -> train.loop2 -> train.loop
}
train "ok" {
  model      = model.resnet
  dataset    = dataset.d
  epochs     = 2
  depends_on = [model.resnet] # ERROR: Invalid value | steps only
}
output "a" {
  value = train.ok.metrcs.accuracy # ERROR: Unknown result | Did you mean "metrics"?
}
output "b" {
  value = train # ERROR: Reference to undeclared name | write train.NAME
}
output "c" {
  value = resnet18 # ERROR: Reference to undeclared name | text needs quotes
}
output "d" {
  value = uper("a") # ERROR: Unknown function | Did you mean "upper"?
}
output "e" {
  value = "x" + 1 # ERROR: Invalid operand
}
export "onnx" {
  checkpoint = train.ok.best
}
output "exported" {
  value = export.onnx.metrics.accuracy # ERROR: Unknown result | there are artifacts, path, run_id
}
