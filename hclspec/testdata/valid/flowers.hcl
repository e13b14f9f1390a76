pipeline "flowers" {
  description      = "Flower classifier"
  required_version = ">= 0.1"
}

variable "epochs" {
  type    = number
  default = 10
  validation {
    condition     = var.epochs > 0
    error_message = "epochs must be positive"
  }
}

dataset "flowers" {
  format = "imagefolder"
  path   = "data/flowers"
  checks {
    max_corrupt   = 0
    min_per_class = 20
    leakage       = "error"
  }
}

model "resnet" {
  adapter    = "native"
  name       = "resnet18"
  task       = "image_classification"
  image_size = 224
  weights    = "weights/resnet18.safetensors"
}

train "baseline" {
  model         = model.resnet
  dataset       = dataset.flowers
  epochs        = var.epochs
  batch_size    = 64
  learning_rate = 3e-4
  seed          = 7
  preset        = "standard"
  config {
    optimizer {
      type         = "adamw"
      weight_decay = 0.05
    }
    scheduler {
      type = "cosine"
    }
  }
  executor = executor.dagger.gpu
  retry {
    attempts = 3
    on       = ["oom", "preempted", "infrastructure"]
  }
}

train "search" {
  model      = model.resnet
  dataset    = dataset.flowers
  epochs     = 5
  batch_size = 64
  matrix = {
    "learning_rate"         = [1e-3, 3e-4]
    "config.optimizer.type" = ["adamw", "sgd"]
  }
}

train "longer" {
  model      = model.resnet
  dataset    = dataset.flowers
  epochs     = 30
  batch_size = 64
  start {
    checkpoint = best_of(train.search, "accuracy").best
    mode       = "weights"
  }
}

evaluate "holdout" {
  checkpoint = train.baseline.best
  dataset    = dataset.flowers
  split      = "test"
}

export "onnx" {
  checkpoint      = train.baseline.best
  precision       = "int8"
  max_metric_drop = 0.005
}

step "prepare" {
  image    = "alpine:3"
  command  = ["sh", "-c", "..."]
  inputs   = { raw = "data/raw" }
  outputs  = { clean = "data/clean" }
  executor = executor.dagger.gpu
}

check "quality" {
  condition     = train.baseline.metrics.accuracy > 0.9
  error_message = "accuracy is below 0.9"
}

executor "dagger" "gpu" {
  image = "ghcr.io/example/train:1"
  gpus  = 1
}

executor "kubernetes" "cluster" {
  namespace = "ml"
  image     = "ghcr.io/example/train:1"
  resources = { "ephemeral-storage" = "20Gi" }

  context            = "prod"
  service_account    = "trainer"
  cpus               = 7.5
  memory             = "32Gi"
  gpus               = 2
  shared_memory      = "8Gi"
  node_selector      = { pool = "gpu" }
  priority_class     = "batch"
  queue              = "team-a"
  image_pull_secrets = ["registry"]
  secret_env         = { HF_TOKEN = "huggingface/token" }
  user               = "1000:1000"
  nodes              = 2
  ttl                = "48h"

  volume {
    claim = "work"
    path  = "/mnt/work"
  }
  volume {
    host_path = "/data/images"
    path      = "/data/images"
    read_only = true
  }
  toleration {
    key      = "nvidia.com/gpu"
    operator = "Exists"
    effect   = "NoSchedule"
  }
}

artifacts "s3" {
  bucket   = "models"
  endpoint = env("R2_ENDPOINT")
}

tracker "mlflow" {
  uri = env("MLFLOW_TRACKING_URI")
}

notify "webhook" {
  url    = "https://ci.example.com/hook"
  secret = secret("HOOK_SECRET")
  events = ["failed", "completed"]
}

output "accuracy" {
  value = train.baseline.metrics.accuracy
}
