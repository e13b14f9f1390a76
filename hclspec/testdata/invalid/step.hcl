pipeline "p" {}
executor "dagger" "a" {
  image = "x"
}
executor "kubernetes" "b" {
  image = "x"
}
step "prepare" { # ERROR: Missing executor | executor = executor.dagger.a
  image   = "alpine:3"
  command = ["sh"]
  outputs = { clean = "data/clean" }
}
dataset "d" {
  format = "imagefolder"
  path   = step.prepare.outputs.claen # ERROR: Unknown result | Did you mean "clean"?
}
dataset "good" {
  format = "imagefolder"
  path   = "${step.prepare.outputs.clean}/images"
}
