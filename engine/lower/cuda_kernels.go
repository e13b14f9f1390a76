package lower

// kernel says that the CUDA provider has a kernel of an op.
type kernel struct {
	domain, op string

	// first and last version of the op that the kernel was registered for,
	// last 0 if it was registered without an end. ONNX Runtime then takes it
	// only for the version of the op's definition that it was written for.
	first, last int64

	// types are the element types of each input, one letter each: f float32,
	// h float16, b bfloat16, l int64, i int32, u uint8, o bool. The last entry
	// holds for all inputs that follow; "c" marks an input read on the host.
	types []string
}

// cudaKernels are the kernels that ONNX Runtime registers for the CUDA
// provider, of those that exist at opset 18 and that a training step may use.
// The facts are those of docs/OperatorKernels.md of microsoft/onnxruntime at
// commit 001d12d2, section CUDAExecutionProvider. Element types that graphs
// do not have are left out.
func cudaKernels() []kernel {
	const (
		fh    = "fh"
		fhb   = "fhb"
		num   = "fhbliu"
		any   = "fhbliuo"
		comp  = "fhli"
		fixed = "c"
	)
	return []kernel{
		{"", "Abs", 13, 0, []string{num}},
		{"", "Add", 14, 0, []string{num}},
		{"", "And", 7, 0, []string{"o"}},
		{"", "ArgMax", 13, 0, []string{fh}},
		{"", "AveragePool", 11, 18, []string{fh}},
		{"", "BatchNormalization", 15, 0, []string{fh}},
		{"", "Cast", 13, 18, []string{any}},
		{"", "Clip", 13, 0, []string{"fhlu"}},
		{"", "Concat", 13, 0, []string{any}},
		{"", "ConstantOfShape", 9, 0, []string{fixed}},
		{"", "Conv", 11, 21, []string{fh}},
		{"", "ConvTranspose", 11, 0, []string{fh}},
		{"", "DepthToSpace", 13, 0, []string{fh}},
		{"", "Div", 14, 0, []string{num}},
		{"", "Equal", 13, 0, []string{"fhlio"}},
		{"", "Erf", 13, 0, []string{fhb}},
		{"", "Exp", 13, 0, []string{fhb}},
		{"", "Expand", 13, 0, []string{any, fixed}},
		{"", "Gather", 13, 0, []string{any, "li"}},
		{"", "GatherElements", 13, 0, []string{any, "li"}},
		{"", "Gemm", 13, 0, []string{fhb}},
		{"", "GlobalAveragePool", 1, 0, []string{fh}},
		{"", "Greater", 13, 0, []string{comp}},
		{"", "GreaterOrEqual", 16, 0, []string{comp}},
		{"", "HardSigmoid", 6, 21, []string{fh}},
		{"", "HardSwish", 14, 21, []string{fh}},
		{"", "Identity", 14, 18, []string{any}},
		{"", "LayerNormalization", 17, 0, []string{fhb}},
		{"", "Less", 13, 0, []string{comp}},
		{"", "LessOrEqual", 16, 0, []string{comp}},
		{"", "Log", 13, 0, []string{fh}},
		{"", "LogSoftmax", 13, 0, []string{fh}},
		{"", "MatMul", 13, 0, []string{fhb}},
		{"", "Max", 13, 0, []string{"fhbli"}},
		{"", "MaxPool", 12, 0, []string{"fhu"}},
		{"", "Min", 13, 0, []string{"fhbli"}},
		{"", "Mul", 14, 0, []string{num}},
		{"", "Neg", 13, 0, []string{"fhbli"}},
		{"", "Not", 1, 0, []string{"o"}},
		{"", "OneHot", 11, 0, []string{"li", "lic", "fhl"}},
		{"", "Or", 7, 0, []string{"o"}},
		{"", "Pad", 18, 0, []string{"fho", fixed, "fho", fixed}},
		{"", "Pow", 15, 0, []string{"fhbli"}},
		{"", "Reciprocal", 13, 0, []string{fh}},
		{"", "ReduceMax", 18, 0, []string{"fhli", fixed}},
		{"", "ReduceMean", 18, 0, []string{"fhi", fixed}},
		{"", "ReduceSum", 13, 0, []string{"fhbli", fixed}},
		{"", "Relu", 14, 0, []string{fhb}},
		{"", "Reshape", 14, 18, []string{any, fixed}},
		{"", "ScatterElements", 18, 0, []string{any, "li", any}},
		{"", "Sigmoid", 13, 0, []string{fhb}},
		{"", "Sign", 13, 0, []string{num}},
		{"", "Slice", 13, 0, []string{any, fixed}},
		{"", "Softmax", 13, 0, []string{fhb}},
		{"", "SpaceToDepth", 13, 0, []string{fh}},
		{"", "Split", 18, 0, []string{any, fixed}},
		{"", "Sqrt", 13, 0, []string{fhb}},
		{"", "Squeeze", 13, 20, []string{any, fixed}},
		{"", "Sub", 14, 0, []string{num}},
		{"", "Sum", 13, 0, []string{fhb}},
		{"", "Tanh", 13, 0, []string{fhb}},
		{"", "Transpose", 13, 20, []string{any}},
		{"", "Unsqueeze", 13, 20, []string{any, fixed}},
		{"", "Where", 16, 0, []string{"o", "fhbliu"}},
		{"com.microsoft", "BiasGelu", 1, 0, []string{fhb}},
		{"com.microsoft", "FusedMatMul", 1, 0, []string{fhb}},
		{"com.microsoft", "Gelu", 1, 0, []string{fhb}},
	}
}
