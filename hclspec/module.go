package hclspec

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/trainwright/trainwright/pipelines"
)

// module is one pipeline while it is being decoded, and afterwards what the
// closures of its steps evaluate in. mu guards evaluation.
type module struct {
	mu        sync.Mutex
	dir       string // absolute
	opts      Options
	files     Files
	budget    *budget
	functions map[string]function.Function
	names     []string // of functions

	order  []*block          // every top-level block in source order
	nodes  map[string]*node  // what expressions can refer to, by address
	inputs map[string]*input // variables

	nameless bool // there is a pipeline block, without its name

	static    *evaluator // caches what depends on no step
	broken    map[hcl.Range]bool
	homes     map[home]string
	instances int      // of all steps
	forbidden []string // licences
	diags     hcl.Diagnostics
}

// node is a local, block or variable that expressions can name.
type node struct {
	address string
	block   *block
	expr    hclsyntax.Expression // of a local
	refs    []reference
	at      hcl.Range

	circular bool
	late     bool      // depends on a step's result
	locals   int       // locals that it builds on in a row
	steps    []stepRef // steps that it refers to, directly or through locals, models and datasets
	expanded expansion // instances of a step
}

// stepKind is the kind of a node that is a step, "" of others.
func (n *node) stepKind() pipelines.Kind {
	if n.block == nil {
		return ""
	}
	switch kind := pipelines.Kind(n.block.spec.Type); kind {
	case pipelines.KindTrain, pipelines.KindEvaluate, pipelines.KindExport, pipelines.KindStep:
		return kind
	}
	return ""
}

func newModule(dir string, opts Options, files Files) *module {
	m := &module{dir: dir, opts: opts, files: files, budget: &budget{}, nodes: map[string]*node{}, inputs: map[string]*input{}, broken: map[hcl.Range]bool{}, homes: map[home]string{}}
	m.functions = functions(m)
	m.names = slices.Sorted(maps.Keys(m.functions))
	m.static = &evaluator{m: m, cache: map[string]cty.Value{}, models: map[string]*modelDecl{}, datasets: map[string]*datasetDecl{}}
	return m
}

func (m *module) add(d ...*hcl.Diagnostic) { m.diags = append(m.diags, d...) }

// collect decodes the blocks of a file.
func (m *module) collect(file *hcl.File) {
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		return
	}
	for _, a := range sortedAttributes(body) {
		m.add(failure(a.NameRange, "Unsupported argument", "Arguments stand in blocks, not directly in a file.%s", hint(a.Name, &blockSpec{}, m.homeOf)))
	}
	for _, raw := range body.Blocks {
		m.collectBlock(raw)
	}
}

func (m *module) collectBlock(raw *hclsyntax.Block) {
	spec := topLevelSpec(raw.Type)
	if choices, ok := typed[raw.Type]; ok {
		if spec = m.typedSpec(raw, choices); spec == nil {
			return
		}
	}
	if spec == nil {
		detail := fmt.Sprintf("There is no block type %q.%s", raw.Type, didYouMean(raw.Type, blockTypes()))
		if home := m.homeOf(raw.Type, nil); home != "" && didYouMean(raw.Type, blockTypes()) == "" {
			detail += fmt.Sprintf(" %q belongs under block %s.", raw.Type, home)
		}
		m.add(failure(raw.TypeRange, "Unsupported block type", "%s", detail))
		return
	}
	b, diags := decode(spec, raw, m.homeOf)
	m.add(diags...)
	if len(b.labels) < len(spec.Labels) {
		m.nameless = m.nameless || spec == pipelineBlock
		return
	}
	m.order = append(m.order, b)
	m.collectRefs(b)
	switch spec {
	case localsBlock:
		m.addLocals(b)
	case variableBlock:
		m.addVariable(b)
	case pipelineBlock, policyBlock, movedBlock:
	default:
		m.addNode(&node{address: b.address(), block: b, refs: b.refs, at: b.head})
	}
}

// typedSpec chooses the content of a block by its first label.
func (m *module) typedSpec(raw *hclsyntax.Block, choices map[string]*blockSpec) *blockSpec {
	known := slices.Sorted(maps.Keys(choices))
	if len(raw.Labels) == 0 {
		m.add(failure(raw.DefRange(), "Missing block label", "Say which kind of %s: %s.", raw.Type, orList(known)))
		return nil
	}
	if spec, ok := choices[raw.Labels[0]]; ok {
		return spec
	}
	m.add(failure(raw.LabelRanges[0], "Unknown "+raw.Type+" type", "There is no %s type %q; there are %s.%s", raw.Type, raw.Labels[0], orList(known), didYouMean(raw.Labels[0], known)))
	return nil
}

func (m *module) addNode(n *node) {
	if first, ok := m.nodes[n.address]; ok {
		m.add(failure(n.at, "Duplicate name", "%s is already declared at %s:%d. Names must be unique within their type.", n.address, first.at.Filename, first.at.Start.Line))
		return
	}
	m.nodes[n.address] = n
}

// blocksOf lists the blocks of a type in source order.
func (m *module) blocksOf(kind string) []*block {
	var out []*block
	for _, b := range m.order {
		if b.spec.Type == kind {
			out = append(out, b)
		}
	}
	return out
}
