pipeline "p" {}
dataset "d" {
  format = "imagefolder"
  path   = "data"
}
model "m" {
  name = "convnet"
}
train "a" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
}
moved {
  from = train.a # ERROR: Step still exists
  to   = train.a
}
moved {
  from = train.old
  to   = train.b # ERROR: Reference to undeclared name | no step train.b
}
moved {
  from = "train.old" # ERROR: Invalid address
  to   = train.a
}
moved {
  from = train.older
  to   = train.a
}
moved { # ERROR: Contradicting blocks
  from = train.oldest
  to   = train.a
}
