package weights

import (
	"fmt"
	"path"
	"sort"
	"strings"
)

// Param is a parameter or buffer that a model declares.
type Param struct {
	Name  string
	Shape []int
}

// Mismatch is a tensor whose shape in the file is not the model's.
type Mismatch struct {
	Name  string `json:"name"`
	File  []int  `json:"file"`
	Model []int  `json:"model"`
}

// Report tells how a file fitted a model. Every list is sorted by name.
type Report struct {
	Loaded     []string   `json:"loaded"`
	Missing    []string   `json:"missing"`    // the model has it, the file does not
	Unexpected []string   `json:"unexpected"` // the file has it, the model does not
	Shape      []Mismatch `json:"shape"`
	Reheaded   []Mismatch `json:"reheaded"` // classifier tensors left at their initial values
}

// Err is nil when every tensor found its place (a re-headed classifier counts
// as such), else an error that lists what did not.
func (r *Report) Err() error {
	if len(r.Missing)+len(r.Unexpected)+len(r.Shape) == 0 {
		return nil
	}
	return fmt.Errorf("the weights do not fit the model: %s", r)
}

// String is a one-line summary, naming at most five tensors of each kind.
func (r *Report) String() string {
	parts := []string{fmt.Sprintf("%d tensors loaded", len(r.Loaded))}
	add := func(what string, names []string) {
		if len(names) == 0 {
			return
		}
		more := ""
		if len(names) > 5 {
			more = fmt.Sprintf(" and %d more", len(names)-5)
			names = names[:5]
		}
		parts = append(parts, what+": "+strings.Join(names, ", ")+more)
	}
	add("missing in the file", r.Missing)
	add("unexpected in the file", r.Unexpected)
	add("wrong shape", describe(r.Shape))
	add("classifier re-headed", describe(r.Reheaded))
	return strings.Join(parts, "; ")
}

func describe(ms []Mismatch) []string {
	var out []string
	for _, m := range ms {
		out = append(out, fmt.Sprintf("%s (file %v, model %v)", m.Name, m.File, m.Model))
	}
	return out
}

// Match fits the tensors of f onto the parameters that a model declares. It
// returns the values to load by name, as float32. A tensor named in classifier
// (such as "fc.weight") whose first dimension differs while the others agree is
// left at its initial value and reported as re-headed. Batch norm's
// "num_batches_tracked" counters, which PyTorch writes and no rule here reads,
// are passed over. The error is the report's.
func Match(f *File, want []Param, classifier []string) (map[string][]float32, *Report, error) {
	head := map[string]bool{}
	for _, n := range classifier {
		head[n] = true
	}
	values := make(map[string][]float32, len(want))
	r := &Report{}
	known := make(map[string]bool, len(want))
	for _, p := range want {
		known[p.Name] = true
		t, ok := f.Tensors[p.Name]
		switch {
		case !ok:
			r.Missing = append(r.Missing, p.Name)
		case sameShape(t.Shape, p.Shape):
			v, err := t.Float32s()
			if err != nil {
				return nil, r, fmt.Errorf("tensor %q: %w", p.Name, err)
			}
			values[p.Name] = v
			r.Loaded = append(r.Loaded, p.Name)
		case head[p.Name] && len(t.Shape) > 0 && len(t.Shape) == len(p.Shape) && sameShape(t.Shape[1:], p.Shape[1:]):
			r.Reheaded = append(r.Reheaded, Mismatch{p.Name, t.Shape, p.Shape})
		default:
			r.Shape = append(r.Shape, Mismatch{p.Name, t.Shape, p.Shape})
		}
	}
	for n := range f.Tensors {
		if !known[n] && !strings.HasSuffix(n, ".num_batches_tracked") {
			r.Unexpected = append(r.Unexpected, n)
		}
	}
	r.sort()
	return values, r, r.Err()
}

func (r *Report) sort() {
	for _, l := range [][]string{r.Loaded, r.Missing, r.Unexpected} {
		sort.Strings(l)
	}
	for _, l := range [][]Mismatch{r.Shape, r.Reheaded} {
		sort.Slice(l, func(i, j int) bool { return l[i].Name < l[j].Name })
	}
}

// Frozen returns the names that match at least one of the patterns, in the
// order of names. In a pattern, * matches any run of characters, dots included,
// ? one character and [a-c] a set, so "layer1.*" is all of layer1. A malformed
// pattern, or one that matches nothing, is an error. Frozen parameters get no
// gradient and no weight decay; running statistics go on, as in PyTorch.
func Frozen(patterns, names []string) ([]string, error) {
	hit := map[string]bool{}
	for _, p := range patterns {
		found := false
		for _, n := range names {
			ok, err := path.Match(p, n)
			if err != nil {
				return nil, fmt.Errorf("freeze pattern %q is malformed: %w", p, err)
			}
			if ok {
				hit[n], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("freeze pattern %q matches none of the model's %d parameters (such as %q)", p, len(names), example(names))
		}
	}
	var out []string
	for _, n := range names {
		if hit[n] {
			out = append(out, n)
		}
	}
	return out, nil
}

func example(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}
