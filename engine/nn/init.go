package nn

import (
	"math"

	"github.com/trainwright/trainwright/engine/rng"
)

// Fill draws the initial elements of a tensor.
type Fill func(s *rng.Stream, out []float32)

// Init says how one parameter or buffer starts.
type Init struct {
	Name   string
	Shape  []int
	Fill   Fill
	Buffer bool // not trained: running statistics
}

// Size is the number of elements.
func (i Init) Size() int {
	n := 1
	for _, d := range i.Shape {
		n *= d
	}
	return n
}

// Values draws all initial values, by name. The stream of a tensor is that of
// (seed, "init/" + name).
func Values(inits []Init, seed int64) map[string][]float32 {
	values := make(map[string][]float32, len(inits))
	for _, i := range inits {
		out := make([]float32, i.Size())
		i.Fill(rng.New(uint64(seed), "init/"+i.Name), out)
		values[i.Name] = out
	}
	return values
}

// Constant sets every element to v.
func Constant(v float32) Fill {
	return func(_ *rng.Stream, out []float32) {
		for i := range out {
			out[i] = v
		}
	}
}

// Normal draws from N(0, std^2).
func Normal(std float64) Fill {
	return func(s *rng.Stream, out []float32) {
		for i := range out {
			out[i] = float32(std * s.Normal())
		}
	}
}

// TruncNormal draws from N(0, std^2) limited to [lo, hi], as
// torch.nn.init.trunc_normal_(std=std, a=lo, b=hi).
func TruncNormal(std, lo, hi float64) Fill {
	return func(s *rng.Stream, out []float32) {
		for i := range out {
			v := std * s.Normal()
			for v < lo || v > hi {
				v = std * s.Normal()
			}
			out[i] = float32(v)
		}
	}
}

// Uniform draws from [-bound, bound).
func Uniform(bound float64) Fill {
	return func(s *rng.Stream, out []float32) {
		for i := range out {
			out[i] = float32(s.Uniform(-bound, bound))
		}
	}
}

// KaimingFanOut is torch.nn.init.kaiming_normal_(mode="fan_out",
// nonlinearity="relu") for a convolution kernel [out, in/group, k, k]: as
// there, out is not divided by the number of groups.
func KaimingFanOut(out, kernel int) Fill {
	return Normal(math.Sqrt(2 / float64(out*kernel*kernel)))
}

// TorchDefault is what torch.nn.Linear and Conv2d start with, weight and bias
// alike: uniform within 1/sqrt(fan_in).
func TorchDefault(fanIn int) Fill {
	return Uniform(1 / math.Sqrt(float64(fanIn)))
}
