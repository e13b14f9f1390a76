package graph

import "sync"

// Op is the table entry of one operation.
type Op struct {
	Name string

	// Outputs is the number of results; 0 means that it depends on the
	// attributes (Split).
	Outputs int

	// Optional lists the inputs that may be None.
	Optional []int

	// Infer is the type rule: the output types for the given inputs.
	// Its error says what is wrong, without repeating op or inputs.
	Infer func(in []Type, attr any) ([]Type, error)

	// Gradient adds the nodes of the backward pass: given dy, the gradient
	// of each output (None where the output does not reach the loss), it
	// returns the gradient of each input i with need[i], None elsewhere.
	// It is nil for an op through which no gradient flows.
	Gradient func(g *Graph, n Node, dy []Value, need []bool) []Value

	// Samples are small uses of the op on which tests check lowering and
	// gradient.
	Samples []Sample
}

// Sample is one small use of an op.
type Sample struct {
	Name  string
	In    []Spec
	Build func(g *Graph, in []Value) []Value
}

// Spec says what one input of a sample is.
type Spec struct {
	Type
	Fill Fill
}

// Fill says which numbers an input of a sample has. All are made by a fixed
// rule, so a sample is the same everywhere.
type Fill uint8

// The fills. An input of a non-smooth op keeps away from its kinks, so that
// finite differences mean something.
const (
	Normal   Fill = iota // mean 0, variance 1
	Positive             // in [0.5, 2]
	Distinct             // a shuffled grid with step 0.1, centred, off the integers by 0.05; a second input lies between the points of the first
	Indices              // integers 0, 1, 2, 0, 1, 2, … (also for Bool: every third is true)
)

var table struct {
	once sync.Once
	byID map[string]*Op
}

// Lookup returns the entry of an op, nil if there is none.
func Lookup(name string) *Op {
	table.once.Do(func() {
		table.byID = map[string]*Op{}
		for _, op := range Ops() {
			if op.Outputs == 0 && op.Name != "Split" {
				op.Outputs = 1
			}
			table.byID[op.Name] = &op
		}
	})
	return table.byID[name]
}

func f32(fill Fill, shape ...int) Spec { return Spec{Type{Float32, shape}, fill} }

func i64(shape ...int) Spec { return Spec{Type{Int64, shape}, Indices} }

func boolean(shape ...int) Spec { return Spec{Type{Bool, shape}, Indices} }

// one adapts a builder of one result to Sample.Build.
func one(build func(g *Graph, in []Value) Value) func(*Graph, []Value) []Value {
	return func(g *Graph, in []Value) []Value { return []Value{build(g, in)} }
}
