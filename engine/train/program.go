package train

import (
	"context"
	"fmt"
	"strings"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/onnx"
	"github.com/trainwright/trainwright/engine/ort"
)

// program is a graph that is ready to run on a set of tensors. It keeps one
// binding for each combination of buffer sides, made when first needed.
type program struct {
	graph    *graph.Graph
	session  *ort.Session
	io       map[string]*ort.Tensor // scalars that are fed and what comes out, by name
	bindings map[string]*ort.Binding
	onHost   error // operators for which the CUDA provider has no kernel
	staged   bool  // inputs on the host are copied to a device when they are bound
}

// compile lowers a graph and makes a session for it, with host tensors for its
// inputs and outputs, but for the batch, which a feeder brings.
func compile(rt *ort.Runtime, g *graph.Graph, d device) (*program, error) {
	model, err := lower.Model(g, d.provider, lower.Options{Precision: d.precision, Block: d.block})
	if err != nil {
		return nil, err
	}
	bytes, err := onnx.Marshal(model)
	if err != nil {
		return nil, err
	}
	p := &program{graph: g, io: map[string]*ort.Tensor{}, bindings: map[string]*ort.Binding{}, staged: d.staged}
	if d.provider == lower.CUDA {
		p.onHost = lower.CheckCUDA(model)
	}
	if p.session, err = rt.NewSession(bytes, d.options); err != nil {
		return nil, fmt.Errorf("compile graph %s: %w", g.Name(), fallbackAdvice(err))
	}
	for _, list := range [][]graph.Named{g.Inputs(), g.Outputs()} {
		for _, n := range list {
			if n.Name == inImages || n.Name == inLabels {
				continue
			}
			t := g.Type(n.Value)
			if p.io[n.Name], err = rt.NewTensor(dtypes[t.DType], t.Shape...); err != nil {
				p.close()
				return nil, err
			}
		}
	}
	return p, nil
}

var dtypes = map[graph.DType]ort.DType{
	graph.Float32: ort.Float32, graph.Int64: ort.Int64, graph.Int32: ort.Int32, graph.Uint8: ort.Uint8, graph.Bool: ort.Bool,
}

// setScalar sets a float32 scalar input; the program may lack it.
func (p *program) setScalar(name string, v float32) error {
	t, ok := p.io[name]
	if !ok {
		return nil
	}
	return set(t, []float32{v})
}

// scalar reads a float32 scalar output of the last run.
func (p *program) scalar(name string) (float64, error) {
	v, err := ort.View[float32](p.io[name])
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	return float64(v[0]), nil
}

func set[T ort.Element](t *ort.Tensor, values []T) error {
	v, err := ort.View[T](t)
	if err != nil {
		return err
	}
	if len(values) > len(v) {
		return fmt.Errorf("%d values do not fit into a tensor of %d", len(values), len(v))
	}
	copy(v, values)
	return nil
}

// run executes the program on ts and a batch. What it assigns is not current yet.
func (p *program) run(ctx context.Context, ts *tensors, at *place) error {
	key := fmt.Sprint(ts.sides, at.number)
	b := p.bindings[key]
	if b == nil {
		var err error
		if b, err = p.bind(ts, at, nil); err != nil {
			return err
		}
		p.bindings[key] = b
	}
	return p.execute(ctx, b, at)
}

// assign makes current what the last run assigned.
func (p *program) assign(ts *tensors) {
	flipped := map[int]bool{}
	for _, a := range p.graph.Assigns() {
		if g := ts.pairs[a.Name].group; !flipped[g] {
			flipped[g] = true
			ts.sides[g] = 1 - ts.sides[g]
		}
	}
}

// execute runs the program on what b binds and on the inputs as they are now.
func (p *program) execute(ctx context.Context, b *ort.Binding, at *place) error {
	if p.staged {
		for _, n := range p.graph.Inputs() {
			if n.Name == inImages {
				continue // on the device already
			}
			if err := b.Input(n.Name, p.input(n.Name, at)); err != nil {
				return err
			}
		}
	}
	if err := b.Run(ctx); err != nil {
		return fmt.Errorf("graph %s: %w", p.graph.Name(), err)
	}
	return nil
}

// input is the tensor of one of the graph's inputs, nil if it is none.
func (p *program) input(name string, at *place) *ort.Tensor {
	switch name {
	case inImages:
		return at.images
	case inLabels:
		return at.labels
	}
	return p.io[name]
}

// bind ties the program to a batch and the current sides of ts. instead names the tensors
// to read in place of others (moving averages for weights).
func (p *program) bind(ts *tensors, at *place, instead map[string]string) (*ort.Binding, error) {
	b, err := p.session.NewBinding()
	if err != nil {
		return nil, err
	}
	for _, v := range p.session.Inputs() {
		t := p.input(v.Name, at)
		if t == nil {
			name := v.Name
			if other, ok := instead[name]; ok {
				name = other
			}
			t, _ = ts.current(name)
		}
		if t == nil {
			err = fmt.Errorf("graph %s reads %s, which does not exist", p.graph.Name(), v.Name)
		} else {
			err = b.Input(v.Name, t)
		}
		if err != nil {
			b.Close()
			return nil, err
		}
	}
	for _, v := range p.session.Outputs() {
		t := p.io[v.Name]
		if name, ok := strings.CutPrefix(v.Name, lower.OutPrefix); t == nil && ok {
			pair := ts.pairs[name]
			t = pair.buf[1-ts.side(pair)]
		}
		if err := b.Output(v.Name, t); err != nil {
			b.Close()
			return nil, err
		}
	}
	return b, nil
}

// unbind lets go of the tensors.
func (p *program) unbind() {
	if p == nil {
		return
	}
	for _, b := range p.bindings {
		b.Close()
	}
	p.bindings = nil
}

// close releases the program; tensors that its session allocated must be closed before.
func (p *program) close() {
	if p == nil {
		return
	}
	p.unbind()
	for _, t := range p.io {
		t.Close()
	}
	p.session.Close()
}
