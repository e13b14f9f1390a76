# A matrix as Jobs of a Kubernetes cluster: eight pods at once, where there is
# room. This folder and the data lie on the volume "work", which the runner and
# its pods see at /mnt/work; docs/kubernetes.md says how to set that up.
pipeline "kubernetes" {
  description = "Glyphs, eight trainings in parallel"
}

variable "data" {
  type    = string
  default = "../../demo/data"
}

executor "kubernetes" "cluster" {
  image     = "trainwright/runner:latest"
  namespace = "trainwright"
  cpus      = 2
  memory    = "4Gi"
  ttl       = "48h"

  volume {
    claim = "work"
    path  = "/mnt/work"
  }
}

dataset "glyphs" {
  format = "imagefolder"
  path   = var.data
}

model "convnet" {
  adapter = "native"
  name    = "convnet"
  task    = "image_classification"
}

train "search" {
  model      = model.convnet
  dataset    = dataset.glyphs
  epochs     = 5
  batch_size = 32
  executor   = executor.kubernetes.cluster

  matrix = {
    "learning_rate"         = [3e-3, 1e-3, 3e-4, 1e-4]
    "config.optimizer.type" = ["adamw", "sgd"]
  }
  retry {
    attempts = 5
    on       = ["preempted", "infrastructure"]
  }
}

output "best" {
  value = best_of(train.search, "accuracy").metrics.accuracy
}
