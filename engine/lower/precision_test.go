package lower_test

import (
	"testing"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/onnx"
	"github.com/trainwright/trainwright/engine/ort"
)

// TestReducedPrecisionIsClose runs the float16 lowering for cuda on the CPU
// provider, which widens what it has no kernel for, and compares it with float32.
func TestReducedPrecisionIsClose(t *testing.T) {
	rt := openORT(t)
	for _, name := range []string{"Conv", "ConvGradInput", "ConvGradWeight", "MatMul", "Linear"} {
		op := graph.Lookup(name)
		for _, s := range op.Samples {
			t.Run(name+"/"+s.Name, func(t *testing.T) {
				c := newCheck(t, s, true)
				x := make([][]float64, len(c.specs))
				for i, spec := range c.specs {
					x[i] = data(spec, i)
				}
				var results []map[string][]float64
				for _, p := range []lower.Precision{lower.Float32, lower.Float16} {
					m, err := lower.Model(c.g, lower.CUDA, lower.Options{Precision: p})
					if err != nil {
						t.Fatal(err)
					}
					raw, err := onnx.Marshal(m)
					if err != nil {
						t.Fatal(err)
					}
					session, err := rt.NewSession(raw, ort.Options{IntraThreads: 1, Optimization: ort.OptBasic})
					if err != nil {
						t.Fatal(err)
					}
					results = append(results, c.run(t, session, rt, x))
					session.Close()
				}
				for name, want := range results[0] {
					scale := 1.0
					for _, v := range want {
						scale = max(scale, v, -v)
					}
					for i, v := range want {
						if d := results[1][name][i] - v; !(d < 0.01*scale && d > -0.01*scale) {
							t.Fatalf("%s[%d] is %g in float16, %g in float32", name, i, results[1][name][i], v)
						}
					}
				}
			})
		}
	}
}
