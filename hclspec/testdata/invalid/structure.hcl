pipeline "a" {
  desription = "x" # ERROR: Unsupported argument | Did you mean "description"?
}
pipeline "b" {} # ERROR: Duplicate pipeline block | A folder is one pipeline
loose = 1 # ERROR: Unsupported argument | Arguments stand in blocks
trian "x" {} # ERROR: Unsupported block type | Did you mean "train"?
optimizer {} # ERROR: Unsupported block type | "optimizer" belongs under block config.
model {} # ERROR: Missing block label | model NAME # ERROR: Missing required argument | "name"
model "a" "b" { # ERROR: Extraneous block label | model NAME
  name = "convnet"
}
model "1x" { # ERROR: Invalid name
  name = "convnet"
}
executor "k8s" "x" {} # ERROR: Unknown executor type | "kubernetes"
executor "dagger" {} # ERROR: Missing block label
dataset "d" {
  format = "imagefolder"
  path   = "data"
  checks = 3 # ERROR: Unsupported argument | is a block
  checks {
    max_corupt = 1 # ERROR: Unsupported argument | Did you mean "max_corrupt"?
  }
  checks {} # ERROR: Duplicate block | Merge the two
  path2 {} # ERROR: Unsupported block | Did you mean "path"?
  classes {} # ERROR: Unsupported block | is an argument
}
dataset "d" { # ERROR: Duplicate name | dataset.d is already declared
  format = "imagefolder"
  path   = "data"
}
locals {
  a = 1
  b { # ERROR: Unsupported block | arguments only
  }
}
locals {
  a = 2 # ERROR: Duplicate name | local.a
}
