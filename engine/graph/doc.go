// Package graph is the provider-neutral form of a computation: plain data that
// can be inspected, differentiated (engine/autodiff) and lowered to ONNX
// (engine/lower), and that knows nothing of any runtime.
//
// A [Graph] holds nodes in topological order, because a node can only use
// values that exist when it is added. Shapes are static. Types are inferred as
// nodes are added; the first mistake sticks and is returned by [Graph.Err],
// every later call then returns the zero [Value], so building code needs no
// error check of its own. Nothing in this package panics.
//
// Tensors are dense and row-major; images are NCHW. Shapes are counted in
// elements.
//
//	g := graph.New("train")
//	x := g.Input("x", graph.Float32, 32, 3, 224, 224)
//	w := g.Param("conv1.weight", 64, 3, 7, 7)
//	y := g.Relu(g.Conv(x, w, graph.ConvAttrs{Stride: 2, Pad: 3}))
//	g.Output("y", y)
//	if err := g.Err(); err != nil { … }
//
// Each op is one entry of the list in ops.go: a type rule, a gradient and
// samples on which tests check both. Operations that are only compositions
// (losses, means) are ordinary methods and have no entry.
package graph
