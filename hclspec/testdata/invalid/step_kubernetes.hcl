pipeline "p" {}
executor "kubernetes" "none" {
  image = "x"
}
executor "kubernetes" "read" {
  image = "x"
  volume {
    claim     = "data"
    path      = "/mnt/data"
    read_only = true
  }
}
executor "kubernetes" "work" {
  image = "x"
  volume {
    claim = "work"
    path  = "/mnt/work"
  }
}
step "a" {
  image    = "alpine:3"
  command  = ["sh"]
  executor = executor.kubernetes.none # ERROR: Invalid executor | volume { claim
}
step "b" {
  command  = ["sh"]
  executor = executor.kubernetes.read # ERROR: Invalid executor | none that is writable
}
step "c" {
  command  = ["sh"]
  executor = executor.kubernetes.work
}
