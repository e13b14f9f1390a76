package lower

import "maps"

// sharedRules are the entries that every provider's table starts from.
func sharedRules() map[string]rule {
	return map[string]rule{
		"Input": lowerSource, "Param": lowerSource, "State": lowerSource, "Const": lowerConst,

		"Neg": same("Neg"), "Abs": same("Abs"), "Sign": same("Sign"), "Sqrt": same("Sqrt"), "Exp": same("Exp"), "Log": same("Log"),
		"Relu": same("Relu"), "ReluGrad": lowerReluGrad, "Sigmoid": same("Sigmoid"), "Tanh": same("Tanh"),
		"Gelu": lowerGelu, "GeluGrad": lowerGeluGrad, "HardSigmoid": lowerHardSigmoid, "HardSwish": lowerHardSwish,
		"Add": same("Add"), "Sub": same("Sub"), "Mul": same("Mul"), "Div": same("Div"), "Pow": same("Pow"), "Max": same("Max"), "Min": same("Min"),
		"Greater": predicate("Greater"), "Less": predicate("Less"), "Equal": predicate("Equal"),
		"And": predicate("And"), "Or": predicate("Or"), "Not": predicate("Not"), "Where": lowerWhere, "Cast": lowerCast,

		"Reshape": lowerReshape, "Transpose": lowerTranspose, "Expand": lowerExpand,
		"Concat": lowerConcat, "Split": lowerSplit, "Slice": lowerSlice, "Pad": lowerPad, "Gather": lowerGather, "OneHot": lowerOneHot,

		"MatMul": lowerMatMul, "Linear": lowerLinear, "Softmax": softmax("Softmax"), "LogSoftmax": softmax("LogSoftmax"),
		"ReduceSum": reduce("ReduceSum"), "ReduceMean": reduce("ReduceMean"), "ReduceMax": reduce("ReduceMax"), "ArgMax": lowerArgMax,

		"Conv": lowerConv, "ConvGradInput": lowerConvTranspose, "ConvGradWeight": lowerConvGradWeight,
		"MaxPool": lowerMaxPool, "MaxPoolGrad": lowerMaxPoolScatter, "GlobalAvgPool": lowerGlobalAvgPool,
		"BatchNormGrad": lowerBatchNormGrad, "BatchNormInference": lowerBatchNormInference, "LayerNorm": lowerLayerNorm,
	}
}

func cpuRules(o Options) map[string]rule {
	rules := sharedRules()
	maps.Copy(rules, map[string]rule{
		"BatchNorm":     lowerBatchNormCPU,
		"ConvGradInput": lowerConvGradInputCPU,
		"MaxPoolGrad":   lowerMaxPoolGradCPU,
	})
	if o.Block > 1 {
		return blockedRules(rules)
	}
	return rules
}

func cudaRules() map[string]rule {
	rules := sharedRules()
	rules["BatchNorm"] = lowerBatchNormCUDA
	return rules
}
