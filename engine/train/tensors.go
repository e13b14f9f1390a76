package train

import (
	"fmt"
	"math"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/ort"
)

// tensors are all parameters and states by name, each in one buffer, or in two
// when some program assigns it: a run reads one and writes the other.
type tensors struct {
	memory memory
	pairs  map[string]*pair
	names  []string // in order of declaration
	sides  []int    // by group: which buffer is current
}

// pair is one tensor. Tensors that the same programs assign form a group,
// whose sides change together.
type pair struct {
	buf   [2]*ort.Tensor // the second is nil when nothing assigns it
	group int            // into sides; -1 when nothing assigns it
	shape []int
}

// newTensors makes zeroed buffers in memory for what the graphs declare.
func newTensors(m memory, graphs ...*graph.Graph) (*tensors, error) {
	t := &tensors{memory: m, pairs: map[string]*pair{}}
	writers := map[string]string{} // name -> which graphs assign it
	for i, g := range graphs {
		for _, a := range g.Assigns() {
			writers[a.Name] += fmt.Sprintf("%d ", i)
		}
	}
	groups := map[string]int{}
	for _, g := range graphs {
		for _, list := range [][]graph.Named{g.Params(), g.States()} {
			for _, n := range list {
				if err := t.declare(n.Name, g.Shape(n.Value), writers[n.Name], groups); err != nil {
					t.close()
					return nil, err
				}
			}
		}
	}
	t.sides = make([]int, len(groups))
	return t, nil
}

func (t *tensors) declare(name string, shape []int, writers string, groups map[string]int) error {
	if t.pairs[name] != nil {
		return nil
	}
	p := &pair{shape: shape, group: -1}
	t.pairs[name] = p
	t.names = append(t.names, name)
	var err error
	if p.buf[0], err = t.memory.zeros(shape); err != nil || writers == "" {
		return err
	}
	if _, ok := groups[writers]; !ok {
		groups[writers] = len(groups)
	}
	p.group = groups[writers]
	p.buf[1], err = t.memory.zeros(shape)
	return err
}

// current returns the buffer that holds the value of a tensor now.
func (t *tensors) current(name string) (*ort.Tensor, bool) {
	p, ok := t.pairs[name]
	if !ok {
		return nil, false
	}
	return p.buf[t.side(p)], true
}

func (t *tensors) side(p *pair) int {
	if p.group < 0 {
		return 0
	}
	return t.sides[p.group]
}

// read returns the current elements of a tensor. The slice may share its
// memory: it is valid until the next run and must not be changed.
func (t *tensors) read(name string) ([]float32, error) {
	x, ok := t.current(name)
	if !ok {
		return nil, fmt.Errorf("the training has no tensor %s", name)
	}
	v, err := t.memory.read(x)
	if err != nil {
		return nil, fmt.Errorf("read tensor %s: %w", name, err)
	}
	return v, nil
}

// write sets the current elements of a tensor.
func (t *tensors) write(name string, values []float32) error {
	x, ok := t.current(name)
	if !ok {
		return fmt.Errorf("the training has no tensor %s", name)
	}
	if err := t.memory.write(x, values); err != nil {
		return fmt.Errorf("set tensor %s: %w", name, err)
	}
	return nil
}

// finite returns the first of the named tensors that holds a NaN or infinity, "" if none does.
func (t *tensors) finite(names []string) (bad string, err error) {
	for _, name := range names {
		values, err := t.read(name)
		if err != nil {
			return "", err
		}
		for _, v := range values {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return name, nil
			}
		}
	}
	return "", nil
}

func (t *tensors) bytes() int64 {
	var n int64
	for _, p := range t.pairs {
		n += int64(p.buf[0].Size())
	}
	return n
}

func (t *tensors) close() {
	for _, p := range t.pairs {
		p.buf[0].Close()
		p.buf[1].Close()
	}
	t.memory.close()
}
