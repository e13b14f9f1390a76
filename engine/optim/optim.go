package optim

import (
	"fmt"

	"github.com/trainwright/trainwright/engine/graph"
)

// Rule is one update rule.
type Rule struct {
	Name        string
	Description string
	// Slots names the state kept for each parameter, as in torch.optim's
	// state_dict; each has the parameter's shape and starts at zero.
	Slots func(c Config) []string
	// Scalars returns the step graph's float32 scalar inputs for one update.
	// step counts updates from 1.
	Scalars func(c Config, lr float64, step int64) []Scalar
	// update adds one parameter's update and returns the next values of the
	// parameter and of its slots.
	update func(g *graph.Graph, c Config, scalars map[string]graph.Value, p, grad graph.Value, slots []graph.Value) (graph.Value, []graph.Value)
}

// Scalar is a value that the host feeds to each update.
type Scalar struct {
	Name  string
	Value float32
}

// All lists the update rules.
var All = []Rule{adam, adamW, sgd}

// Lookup finds a rule by name.
func Lookup(name string) (Rule, bool) {
	for _, r := range All {
		if r.Name == name {
			return r, true
		}
	}
	return Rule{}, false
}

// Names returns the names of all rules.
func Names() []string {
	names := make([]string, len(All))
	for i, r := range All {
		names[i] = r.Name
	}
	return names
}

// SlotName is the name of a parameter's slot among the graph's states.
func SlotName(slot, param string) string { return "optimizer/" + slot + "/" + param }

// Update adds the update of each parameter by its gradient: it declares the
// rule's scalar inputs (see Config.Scalars) and slot states, assigns the next
// values of slots and parameters, and returns those of the parameters in order.
func Update(g *graph.Graph, c Config, params []graph.Named, grads []graph.Value) ([]graph.Value, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if len(params) != len(grads) {
		return nil, fmt.Errorf("optimizer %s: %d parameters but %d gradients", c.Type, len(params), len(grads))
	}
	defer g.SetScope(g.SetScope("optimizer"))
	rule, _ := Lookup(c.Type)
	scalars := map[string]graph.Value{}
	for _, s := range rule.Scalars(c, 0, 1) {
		scalars[s.Name] = g.Input(s.Name, graph.Float32)
	}
	next := make([]graph.Value, len(params))
	for i, p := range params {
		var names []string
		var slots, nextSlots []graph.Value
		for _, slot := range rule.Slots(c) {
			names = append(names, SlotName(slot, p.Name))
			slots = append(slots, g.State(SlotName(slot, p.Name), graph.Float32, g.Shape(p.Value)...))
		}
		next[i], nextSlots = rule.update(g, c, scalars, p.Value, grads[i], slots)
		g.Assign(p.Value, next[i])
		for j := range names {
			g.Assign(slots[j], nextSlots[j])
		}
	}
	return next, g.Err()
}

// Scalars returns the scalar inputs of an update; see Rule.Scalars.
func (c Config) Scalars(lr float64, step int64) []Scalar {
	r, ok := Lookup(c.Type)
	if !ok {
		return nil
	}
	return r.Scalars(c, lr, step)
}

// decay adds weight decay to a gradient.
func decay(g *graph.Graph, c Config, p, grad graph.Value) graph.Value {
	if c.WeightDecay == 0 {
		return grad
	}
	return g.Add(grad, g.Scale(p, float32(c.WeightDecay)))
}
