package hclspec

import (
	"context"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/trainwright/trainwright/pipelines"
)

// Load reads the pipeline at path (a folder or one file), checks all of it
// and decodes it. All problems found are in the diagnostics; with errors
// among them the pipeline is nil or incomplete. Files serves snippets and is
// never nil. Load touches no data and runs nothing.
func Load(ctx context.Context, path string, opts Options) (p *pipelines.Pipeline, files Files, diags hcl.Diagnostics) {
	files = Files{}
	defer rescue(&diags)
	src, diags := readSources(path, opts)
	if diags.HasErrors() {
		return nil, files, diags
	}
	dir, err := filepath.Abs(src.dir)
	if err != nil {
		return nil, files, append(diags, unreadable(path, err))
	}
	m := newModule(dir, opts, files)
	m.add(diags...)
	p = &pipelines.Pipeline{Dir: dir, Variables: map[string]pipelines.Variable{}, Executors: map[pipelines.Address]pipelines.ExecutorConfig{}}
	for _, s := range src.files {
		m.read(s)
		if ctx.Err() != nil {
			return nil, files, append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Cancelled", Detail: ctx.Err().Error()})
		}
	}
	if m.diags.HasErrors() { // half a file would only make up follow-up errors, and loops too deep must not run
		return nil, files, distinct(m.diags)
	}
	for _, s := range src.files {
		m.collect(files[s.Filename])
	}
	for _, s := range append(src.files, src.vars...) {
		name, err := filepath.Rel(src.dir, s.Filename)
		if err != nil {
			name = s.Filename
		}
		p.Sources = append(p.Sources, pipelines.Source{Filename: name, Text: s.Text})
	}
	defer watching(hcl.Range{})
	m.build(p, src.vars)
	return p, files, distinct(m.diags)
}

// read parses a file; sound says that it can be evaluated.
func (m *module) read(src pipelines.Source) (sound bool) {
	file, diags := parse(src)
	m.files[src.Filename] = file
	if body, ok := file.Body.(*hclsyntax.Body); ok && !diags.HasErrors() {
		diags = append(diags, meter(body, m.budget)...)
	}
	m.add(diags...)
	return !diags.HasErrors()
}

// build decodes everything, in the order in which values come to be known.
func (m *module) build(p *pipelines.Pipeline, autoVars []pipelines.Source) {
	m.setVariables(autoVars)
	for name, in := range m.inputs {
		v := pipelines.Variable{Source: in.source, Sensitive: in.sensitive}
		if bare, marks := unmark(in.value); !in.sensitive && !marks.sensitive && bare.IsWhollyKnown() {
			v.Value = toGo(bare, false)
		}
		p.Variables[name] = v
	}
	sorted := m.linkNodes()
	m.declareAdapters(p)
	m.pipeline(p)
	p.Policy = m.policy()
	m.steps(p, sorted)
	for _, b := range m.order {
		if n := m.nodes[b.address()]; b.spec.Type != "locals" && n != nil && n.block != b {
			continue // a duplicate
		}
		switch b.spec.Type {
		case "check":
			if c, ok := m.check(b); ok {
				p.Checks = append(p.Checks, c)
			}
		case "output":
			if o, ok := m.output(b); ok {
				p.Outputs = append(p.Outputs, o)
			}
		}
	}
	m.backends(p)
	p.Moved = m.moved()
	m.add(m.static.diags...)
}

// linkNodes checks what nodes refer to and orders them.
func (m *module) linkNodes() []*node {
	sorted := m.sortNodes()
	for _, n := range sorted {
		m.checkNames(n.refs, n.block != nil && n.block.attrs["for_each"] != nil)
		m.link(n)
	}
	return sorted
}

// steps goes through the nodes in topological order: instances are expanded,
// and each is decoded once without results.
func (m *module) steps(p *pipelines.Pipeline, sorted []*node) {
	for _, n := range sorted {
		m.checkInstances(n.refs)
		if n.circular {
			continue
		}
		if n.stepKind() == "" {
			if n.block == nil || n.block.spec == datasetBlock || n.block.spec == modelBlock {
				e := m.evaluator(nil)
				e.value(n.address)
				m.add(e.diags...)
			}
			continue
		}
		n.expanded = m.expand(n)
		m.addSteps(p, n)
	}
}

func (m *module) addSteps(p *pipelines.Pipeline, n *node) {
	inactive := map[hcl.Range][]inactiveField{}
	found := instanceDiags{concerns: map[diagKey][]pipelines.Address{}}
	wants := needs(n.steps)
	e := m.evaluator(nil)
	for _, i := range n.expanded.instances {
		d := e.decodeStep(n, &i)
		found.add(d.diags, d.spec.Address)
		for _, f := range d.inactive {
			inactive[f.at] = append(inactive[f.at], f)
		}
		if n.expanded.unknown {
			continue
		}
		step := pipelines.Step{
			Address: d.spec.Address, Kind: d.spec.Kind, Name: n.block.name(), Instance: i.key, Needs: wants, Range: toRange(n.block.head),
			Adapter: d.spec.Adapter, Task: d.spec.Task, Executor: d.executor, Retry: d.retry, Timeout: d.timeout, OnChange: d.onChange,
			Resolve: m.resolver(n, i),
		}
		if d.spec.Model != nil {
			step.Model = d.spec.Model.Name
		}
		p.Steps = append(p.Steps, step)
	}
	m.add(found.named(n.expanded)...)
	m.add(e.diags...)
	m.checkInactive(n, inactive)
}

// checkInactive refuses written config fields without effect in any instance.
func (m *module) checkInactive(n *node, inactive map[hcl.Range][]inactiveField) {
	for at, fields := range inactive {
		of := 0 // instances in which the value at this place counts
		for _, i := range n.expanded.instances {
			counts := true
			for _, c := range i.cells {
				if c.path == "config."+fields[0].field && c.at != at && isCell(n, at) {
					counts = false
				}
			}
			if counts {
				of++
			}
		}
		if len(fields) < of {
			continue
		}
		where := ""
		if n.expanded.multiple {
			where = " in every instance"
		}
		m.add(failure(at, "Config field has no effect", "%s has no effect%s, because %s. Remove it, or change what it depends on.", fields[0].field, where, fields[0].reason))
	}
}

// isCell reports that a range is a value of the step's matrix.
func isCell(n *node, at hcl.Range) bool {
	for _, i := range n.expanded.instances {
		for _, c := range i.cells {
			if c.at == at {
				return true
			}
		}
	}
	return false
}

// resolver is the closure of a step instance: it evaluates the block anew
// with the results known by then.
func (m *module) resolver(n *node, i instance) func(pipelines.Results) (pipelines.Spec, error) {
	return func(results pipelines.Results) (spec pipelines.Spec, err error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		defer watching(hcl.Range{})
		defer rescueError(&err)
		m.budget.reset()
		e := m.evaluator(results)
		if n.block.attrs["for_each"] != nil { // values of for_each may have come to be known
			i = m.again(e, n, i)
		}
		d := e.decodeStep(n, &i)
		if diags := append(e.diags, d.diags...); diags.HasErrors() {
			return d.spec, diags
		}
		return d.spec, nil
	}
}

// again looks up an instance's each.value with the results known now.
func (m *module) again(e *evaluator, n *node, i instance) instance {
	v, diags := e.eval(n.block.attrs["for_each"].Expr, nil)
	if diags.HasErrors() {
		return i
	}
	bare, outer := v.Unmark()
	if bare.IsKnown() && !bare.IsNull() && (bare.Type().IsObjectType() || bare.Type().IsMapType()) {
		if value, ok := bare.AsValueMap()[i.key]; ok {
			i.eachValue = value.WithMarks(outer)
		}
	}
	return i
}
