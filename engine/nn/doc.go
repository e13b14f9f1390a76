// Package nn adds layers to graphs.
//
// A [Net] is a graph under construction together with how each of its
// parameters and buffers starts: layers declare them under dotted names, which
// follow the timm library, and record an [Init]. [Values] then draws the
// initial values from a seed, each from a stream of its own, so they do not
// depend on the order of declaration or on what else the model has.
package nn
