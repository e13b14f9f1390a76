# plan
pipeline "p" {}
executor "dagger" "d" {
  user   = "no body"     # ERROR: Invalid value | "UID:GID"
  memory = "much"        # ERROR: Invalid value | "16Gi"
  cpus   = -1            # ERROR: Invalid value | cpus
}
executor "dagger" "e" {
  image = "docker://debian" # ERROR: Invalid value | the name of a container image
}
executor "local" "l" {}
step "a" { # ERROR: Missing required argument | executor.dagger.d
  command  = ["true"]
  executor = executor.dagger.d
}
step "b" {
  image    = "two words" # ERROR: Invalid value | "debian:12-slim"
  command  = ["true"]
  inputs   = { "a/b" = "x" } # ERROR: Invalid name | "a/b"
  outputs  = { ".." = "y" } # ERROR: Invalid name | ".."
  executor = executor.dagger.d
}
step "c" {
  image    = "debian:12-slim"
  command  = ["true"]
  executor = executor.local.l # ERROR: Invalid executor | a local executor runs none
}
