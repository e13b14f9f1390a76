pipeline "p" {}
executor "kubernetes" "bad" {
  image             = "two words" # ERROR: Invalid value | image reference
  memory            = "lots" # ERROR: Invalid value | "32Gi"
  namespace         = "Upper" # ERROR: Invalid value | lower case
  image_pull_policy = "always" # ERROR: Invalid value | Did you mean "Always"?
  nodes             = 0 # ERROR: Invalid value | at least 1
  gpus              = 1
  user              = "root" # ERROR: Invalid value | "UID"
  ttl               = "soon" # ERROR: Invalid value | duration
  queue             = "Team A" # ERROR: Invalid value | lower case
  resources = {
    "nvidia.com/gpu" = 1 # ERROR: Conflicting arguments | "gpus"
    "storage"        = "10 GB" # ERROR: Invalid value | quantity
  }
  node_selector = {
    "pool" = "a pool" # ERROR: Invalid value | label's value
  }
  secret_env = {
    HF_TOKEN     = "huggingface" # ERROR: Invalid value | "SECRET/KEY"
    RUNNER_TOKEN = "a/b" # ERROR: Invalid name | RUNNER_
  }
  image_pull_secrets = "registry" # ERROR: Invalid value | a list of strings
  replicas           = 2 # ERROR: Unsupported argument | replicas
  volume { # ERROR: Missing required argument | "claim"
    path = "relative" # ERROR: Invalid value | absolute
  }
  volume {
    claim     = "work"
    host_path = "/data" # ERROR: Conflicting arguments | not both
    path      = "/"     # ERROR: Invalid value | below /
    sub_path  = "../up" # ERROR: Invalid value | inside
  }
  toleration { # ERROR: Missing required argument | "key"
    effect = "NoWay" # ERROR: Invalid value | NoSchedule
  }
  toleration {
    operator = "Exists"
    value    = "x" # ERROR: Conflicting arguments | takes no value
  }
}
executor "kubernetes" "secret" {
  image = secret("TOKEN") # ERROR: Sensitive value not allowed | secret_env
}
