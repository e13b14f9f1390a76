package lower_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/trainwright/trainwright/engine/autodiff"
	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/lower/layout"
	"github.com/trainwright/trainwright/engine/onnx"
	"github.com/trainwright/trainwright/engine/ort"
)

func openORT(t *testing.T) *ort.Runtime {
	t.Helper()
	path, err := ort.Find()
	if err != nil {
		t.Skipf("needs the ONNX Runtime library: %v", err)
	}
	rt, err := ort.Open(path)
	if err != nil {
		t.Skipf("needs the ONNX Runtime library: %v", err)
	}
	return rt
}

type way struct {
	name     string
	provider lower.Provider
	options  lower.Options
}

// lowerings are the ways a graph is checked. All run on the CPU provider,
// which has every op that the cuda table uses.
func lowerings(t *testing.T, rt *ort.Runtime) []way {
	ways := []way{{"cpu", lower.CPU, lower.Options{}}, {"cuda", lower.CUDA, lower.Options{}}}
	if b := blockSize(t, rt); b > 0 {
		ways = append(ways, way{"cpu in blocks", lower.CPU, lower.Options{Block: b}})
	}
	return ways
}

func blockSize(t *testing.T, rt *ort.Runtime) int {
	t.Helper()
	return layout.Block(t.Context(), rt)
}

// data returns the numbers of input i of a sample.
func data(spec graph.Spec, i int) []float64 {
	r := rand.New(rand.NewPCG(7, uint64(i)))
	out := make([]float64, spec.Elems())
	perm := r.Perm(len(out))
	for k := range out {
		switch spec.Fill {
		case graph.Normal:
			out[k] = r.NormFloat64()
		case graph.Positive:
			out[k] = 0.5 + 1.5*r.Float64()
		case graph.Distinct:
			out[k] = 0.1*float64(perm[k]-len(out)/2) + 0.05*float64(1+i%2)
		case graph.Indices:
			out[k] = float64(k % 3)
			if spec.DType == graph.Bool && k%3 != 0 {
				out[k] = 0
			} else if spec.DType == graph.Bool {
				out[k] = 1
			}
		}
	}
	return out
}

// check is one sample as a graph: its outputs y0, y1, … and the gradients
// "grad/i" of sum(yk*uk) with respect to its float inputs.
type check struct {
	g       *graph.Graph
	specs   []graph.Spec
	outputs []graph.Type
	grads   []bool // by input: reached
}

func newCheck(t *testing.T, s graph.Sample, differentiate bool) *check {
	t.Helper()
	c := &check{g: graph.New("sample"), specs: s.In, grads: make([]bool, len(s.In))}
	g := c.g
	var in []graph.Value
	for i, spec := range s.In {
		in = append(in, g.Input(fmt.Sprint("x", i), spec.DType, spec.Shape...))
	}
	var loss graph.Value
	for k, y := range s.Build(g, in) {
		g.Output(fmt.Sprint("y", k), y)
		c.outputs = append(c.outputs, g.Type(y))
		if !g.DType(y).IsFloat() || !differentiate {
			continue
		}
		part := g.ReduceSum(g.Mul(y, g.Input(fmt.Sprint("u", k), g.DType(y), g.Shape(y)...)), false)
		if loss == graph.None {
			loss = part
		} else {
			loss = g.Add(loss, part)
		}
	}
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	for i, v := range in {
		if loss == graph.None || !g.DType(v).IsFloat() {
			continue
		}
		d, err := autodiff.Gradients(g, loss, []graph.Value{v})
		if err == nil {
			g.Output(fmt.Sprint("grad/", i), d[0])
			c.grads[i] = true
		}
		if g.Err() != nil {
			t.Fatal(err)
		}
	}
	return c
}

// run evaluates a model of the check on inputs x (u is made from the outputs).
func (c *check) run(t *testing.T, s *ort.Session, rt *ort.Runtime, x [][]float64) map[string][]float64 {
	t.Helper()
	b, err := s.NewBinding()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	bind := func(name string, typ graph.Type, values []float64) *ort.Tensor {
		tensor, err := newTensor(rt, typ, values)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(tensor.Close)
		return tensor
	}
	for i, spec := range c.specs {
		if err := b.Input(fmt.Sprint("x", i), bind("x", spec.Type, x[i])); err != nil {
			t.Fatal(err)
		}
	}
	for _, in := range c.g.Inputs()[len(c.specs):] {
		typ := c.g.Type(in.Value)
		if err := b.Input(in.Name, bind("u", typ, data(graph.Spec{Type: typ}, len(in.Name)+100))); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string]*ort.Tensor{}
	for _, o := range c.g.Outputs() {
		typ := c.g.Type(o.Value)
		out[o.Name] = bind("y", typ, make([]float64, typ.Elems()))
		if err := b.Output(o.Name, out[o.Name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	result := map[string][]float64{}
	for name, tensor := range out {
		if result[name], err = values(tensor); err != nil {
			t.Fatal(err)
		}
	}
	return result
}

// TestSamples checks every sample of every op in every lowering: ONNX Runtime
// runs it, all lowerings agree, the CUDA provider has the kernels, and the
// gradient is the derivative, measured along random directions.
func TestSamples(t *testing.T) {
	rt := openORT(t)
	ways := lowerings(t, rt)
	for _, op := range graph.Ops() {
		for _, s := range op.Samples {
			t.Run(op.Name+"/"+s.Name, func(t *testing.T) {
				c := newCheck(t, s, op.Gradient != nil)
				var first map[string][]float64
				for _, way := range ways {
					m, err := lower.Model(c.g, way.provider, way.options)
					if err != nil {
						t.Fatal(err)
					}
					if way.provider == lower.CUDA {
						if err := lower.CheckCUDA(m); err != nil {
							t.Error(err)
						}
					}
					bytes, err := onnx.Marshal(m)
					if err != nil {
						t.Fatal(err)
					}
					session, err := rt.NewSession(bytes, ort.Options{IntraThreads: 1, Optimization: ort.OptBasic})
					if err != nil {
						t.Fatalf("%s: %v", way.name, err)
					}
					got := c.verify(t, way.name, session, rt)
					session.Close()
					if first == nil {
						first = got
					}
					for name, v := range got {
						if d := distance(v, first[name]); d > 1e-4 {
							t.Errorf("%s: %s differs by %.3g from the first lowering", way.name, name, d)
						}
					}
				}
			})
		}
	}
}

// verify returns the outputs of one lowering after comparing its gradients
// with central differences.
func (c *check) verify(t *testing.T, way string, session *ort.Session, rt *ort.Runtime) map[string][]float64 {
	t.Helper()
	x := make([][]float64, len(c.specs))
	for i, spec := range c.specs {
		x[i] = data(spec, i)
	}
	result := c.run(t, session, rt, x)
	if len(c.g.Inputs()) == len(c.specs) { // no float output to differentiate
		return result
	}
	const h = 0.01
	r := rand.New(rand.NewPCG(1, 2))
	for i, spec := range c.specs {
		if !spec.DType.IsFloat() {
			continue
		}
		grad := result[fmt.Sprint("grad/", i)]
		if grad == nil {
			grad = make([]float64, spec.Elems())
		}
		for range 2 {
			v := make([]float64, spec.Elems())
			for k := range v {
				v[k] = max(-2, min(2, r.NormFloat64()))
			}
			moved := func(step float64) float64 {
				y := append([][]float64{}, x...)
				y[i] = make([]float64, len(v))
				for k := range v {
					y[i][k] = x[i][k] + step*v[k]
				}
				return c.loss(c.run(t, session, rt, y))
			}
			numeric, analytic := (moved(h)-moved(-h))/(2*h), dot(grad, v)
			if diff := math.Abs(numeric - analytic); !(diff <= 2e-3*(0.1+math.Sqrt(dot(grad, grad)))) {
				t.Errorf("%s: derivative by input %d is %.6g, its gradient says %.6g", way, i, numeric, analytic)
			}
		}
	}
	return result
}

func (c *check) loss(result map[string][]float64) float64 {
	var sum float64
	for k, typ := range c.outputs {
		if typ.DType.IsFloat() {
			name := fmt.Sprint("u", k)
			sum += dot(result[fmt.Sprint("y", k)], data(graph.Spec{Type: typ}, len(name)+100))
		}
	}
	return sum
}

func dot(a, b []float64) float64 {
	var s float64
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

func distance(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var worst float64
	for i := range a {
		worst = max(worst, math.Abs(a[i]-b[i])/(1+math.Abs(b[i])))
	}
	return worst
}
