package schema_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/trainwright/trainwright/hclspec/schema"
)

// TestOriginProperties: whatever is written, in whatever order, the highest
// origin wins, and the rest of the config is as if it had not been written.
func TestOriginProperties(t *testing.T) {
	ranks := []schema.Origin{schema.FromDefault, schema.FromPreset, schema.FromTrain, schema.FromConfig, schema.FromMatrix}
	rapid.Check(t, func(t *rapid.T) {
		rate := func(name string) float64 { return float64(rapid.IntRange(1, 9).Draw(t, name)) }
		req := schema.Request{Epochs: rapid.IntRange(1, 200).Draw(t, "epochs")}
		want, top := any(1e-3), 0
		if rapid.Bool().Draw(t, "has preset") {
			v := rate("preset")
			req.Preset = map[string]any{"optimizer.learning_rate": v, "scheduler.T_max": rapid.IntRange(1, 200).Draw(t, "T_max")}
			want, top = v, 1
		}
		shared := rate("written") // train and config must agree
		for i, origin := range ranks[2:] {
			if !rapid.Bool().Draw(t, string(origin)) {
				continue
			}
			v := shared
			if origin == schema.FromMatrix {
				v = rate("cell")
			}
			req.Written = append(req.Written, schema.Written{Field: schema.LearningRate, Value: v, Origin: origin})
			want, top = v, i+2
		}
		req.Written = rapid.Permutation(req.Written).Draw(t, "order")
		got, problems := sample().Resolve(req)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		e := got[schema.LearningRate]
		if e.Value != want || e.Origin != ranks[top] {
			t.Fatalf("%+v, want %v from %s", e, want, ranks[top])
		}
		if replaced := e.Origin == schema.FromMatrix && len(req.Written) > 1; (e.Replaced != nil) != replaced || replaced && e.Replaced != shared {
			t.Fatalf("replaced %v of %v", e.Replaced, req.Written)
		}
		if v := got["scheduler.T_max"].Value.(int64); v > int64(req.Epochs) {
			t.Fatalf("an unwritten T_max of %d is above %d epochs", v, req.Epochs)
		}
		for name, other := range got {
			if name != schema.LearningRate && other.Written != -1 {
				t.Fatalf("%s counts as written", name)
			}
		}
	})
}

// TestDisagreementIsToldOnce: train and config with different values are one
// contradiction, whatever a matrix says.
func TestDisagreementIsToldOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req := schema.Request{Written: []schema.Written{
			{Field: schema.LearningRate, Value: 0.1, Origin: schema.FromTrain},
			{Field: schema.LearningRate, Value: 0.2, Origin: schema.FromConfig},
		}}
		if rapid.Bool().Draw(t, "matrix") {
			req.Written = append(req.Written, schema.Written{Field: schema.LearningRate, Value: 0.3, Origin: schema.FromMatrix})
		}
		req.Written = rapid.Permutation(req.Written).Draw(t, "order")
		if _, problems := sample().Resolve(req); len(problems) != 1 || problems[0].Summary != schema.SummaryContradiction {
			t.Fatal(problems)
		}
	})
}
