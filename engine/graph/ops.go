package graph

// Ops returns the table of all ops, a new copy at each call.
func Ops() []Op {
	return []Op{
		// op_source.go
		sourceOp("Input"), sourceOp("Param"), sourceOp("State"), constOp(),
		// op_unary.go
		negOp(), absOp(), signOp(), sqrtOp(), expOp(), logOp(),
		// op_activation.go
		reluOp(), reluGradOp(), sigmoidOp(), tanhOp(), geluOp(), geluGradOp(), hardSigmoidOp(), hardSwishOp(),
		// op_binary.go
		addOp(), subOp(), mulOp(), divOp(), powOp(), maxOp(), minOp(),
		// op_compare.go
		compare("Greater"), compare("Less"), compare("Equal"), logic("And"), logic("Or"), notOp(), whereOp(), castOp(),
		// op_shape.go
		reshapeOp(), transposeOp(), expandOp(),
		// op_join.go, op_slice.go, op_gather.go
		concatOp(), splitOp(), sliceOp(), padOp(), gatherOp(), oneHotOp(),
		// op_matmul.go, op_softmax.go, op_reduce.go
		matMulOp(), linearOp(), softmaxOp(), logSoftmaxOp(),
		reduceSumOp(), reduceMeanOp(), reduceMaxOp(), argMaxOp(),
		// op_conv.go, op_pool.go, op_norm.go, op_norm_inference.go, op_layernorm.go
		convOp(), convGradInputOp(), convGradWeightOp(),
		maxPoolOp(), maxPoolGradOp(), globalAvgPoolOp(),
		batchNormOp(), batchNormGradOp(), batchNormInferenceOp(), layerNormOp(),
	}
}
