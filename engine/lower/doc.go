// Package lower turns a graph into an ONNX model that stock ONNX Runtime runs.
//
// For each provider a table says which ONNX ops express an op of the graph
// best there; most entries are shared (table.go). Formulations were chosen by
// measurement on the CPU provider. CheckCUDA tells, without a GPU, whether the
// CUDA provider has a kernel for every node.
//
// The model's inputs are all inputs, parameters and states of the graph under
// their own names; its outputs are the graph's outputs under their own names
// and, for each assigned parameter or state, its next value as "out/" + name.
// Nodes carry the scope of the graph node in their name, so a profile reads by
// layer. No random op is ever emitted.
package lower
