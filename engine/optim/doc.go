// Package optim holds update rules and learning-rate schedules by the formulas
// of torch.optim and torch.optim.lr_scheduler.
//
// An update rule is a pure function from graph values to graph values
// ([Rule].Update): it becomes part of the training-step graph, and all its
// hyperparameters are either constants of that graph or the scalar inputs
// "lr" and "step". A [Schedule] runs on the host, once per epoch, and feeds
// "lr". Gradient clipping, accumulation and the moving average of weights are
// graph pieces of the same kind.
package optim
