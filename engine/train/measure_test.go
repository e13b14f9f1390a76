package train

import "testing"

// The step that is timed is the one that trains: the same batch again and again
// is learnt.
func TestMeasure(t *testing.T) {
	for name, change := range map[string]func(Config) Config{
		"float32": func(c Config) Config { return c }, "float16": halfOnCPU,
	} {
		cfg := change(small(t))
		cfg.Train, cfg.Val, cfg.Checkpoints.Dir = nil, nil, ""
		told := 0
		one, err := Measure(t.Context(), cfg, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Measure(t.Context(), cfg, 12, func(int) { told++ })
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Steps) != 12 || told != 12 || s.Applied.Precision != name || s.Applied.Loader.BatchSize != cfg.BatchSize {
			t.Errorf("%s: %d steps, told of %d, applied %+v", name, len(s.Steps), told, s.Applied)
		}
		if !(s.Loss < 0.9*one.Loss) {
			t.Errorf("%s: the mean loss of 12 steps is %v, the first was %v", name, s.Loss, one.Loss)
		}
	}
}
