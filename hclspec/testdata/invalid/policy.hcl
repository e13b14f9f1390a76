pipeline "p" {}
policy {
  forbid_licenses = ["AGPL-3.0", "Apache-2.0"]
}
model "a" {
  adapter = "boxes" # ERROR: License forbidden by policy | AGPL-3.0
  name    = "boxnet"
}
model "b" {
  name = "convnet" # ERROR: License forbidden by policy | Apache-2.0
  adapter = "native" # ERROR: License forbidden by policy | The adapter "native"
}
