package hclspec

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/trainwright/trainwright/pipelines"
)

var pipelineBlock = &blockSpec{
	Type: "pipeline", Labels: []string{"name"},
	Optional: []string{"description", "required_version", "store"},
}

// pipeline decodes the required pipeline block.
func (m *module) pipeline(p *pipelines.Pipeline) {
	blocks := m.blocksOf("pipeline")
	if len(blocks) == 0 {
		if m.nameless {
			return // told already
		}
		m.add(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Missing pipeline block",
			Detail: "A pipeline needs a block that names it, because its state is kept under that name: pipeline \"NAME\" {}", Subject: m.start()})
		return
	}
	for _, extra := range blocks[1:] {
		m.add(failure(extra.head, "Duplicate pipeline block", "The pipeline is already named at %s:%d. A folder is one pipeline: keep one of the blocks, or move the other pipeline to its own folder.", blocks[0].head.Filename, blocks[0].head.Start.Line))
	}
	b := blocks[0]
	m.checkNames(b.refs, false)
	s := m.static.scope(nil)
	p.Name = b.name()
	p.Description, _ = s.text(b, "description", "description", early)
	p.Store, _ = s.text(b, "store", "store", early)
	if b.attrs["store"] != nil {
		m.forbid(b.at("store"), "The server that takes a pipeline keeps its state. Remove the argument.")
	}
	if want, ok := s.text(b, "required_version", "required_version", early); ok {
		fits, err := versionFits(m.opts.Version, want)
		switch {
		case err != nil:
			s.fail(b.at("required_version"), "Invalid version constraint", "%s. Write it as \">= 0.1\" or \">= 0.1, < 2\".", sentence(err))
		case !fits:
			s.fail(b.at("required_version"), "Unsupported runner version", "This is runner %s and the pipeline requires %q. Install a version that fits.", m.opts.Version, want)
		}
	}
	m.add(s.diags...)
}

// start is the beginning of the first file, for what is missing altogether.
func (m *module) start() *hcl.Range {
	if len(m.order) == 0 {
		return nil
	}
	return &hcl.Range{Filename: m.order[0].head.Filename, Start: hcl.InitialPos, End: hcl.InitialPos}
}

// versionFits checks a version against constraints joined by commas.
func versionFits(version, constraints string) (bool, error) {
	have, haveErr := parseVersion(strings.TrimPrefix(version, "v"))
	fits := true
	for c := range strings.SplitSeq(constraints, ",") {
		c = strings.TrimSpace(c)
		op := strings.TrimRight(c[:len(c)-len(strings.TrimLeft(c, "<>=!~"))], " ")
		want, err := parseVersion(strings.TrimSpace(c[len(op):]))
		if err != nil {
			return false, err
		}
		order := compareVersions(have, want)
		var ok bool
		switch op {
		case "", "=":
			ok = order == 0
		case "!=":
			ok = order != 0
		case ">":
			ok = order > 0
		case ">=":
			ok = order >= 0
		case "<":
			ok = order < 0
		case "<=":
			ok = order <= 0
		case "~>":
			ok = order >= 0 && have[0] == want[0]
		default:
			return false, fmt.Errorf("there is no operator %q", op)
		}
		fits = fits && ok
	}
	return fits || haveErr != nil || version == "", nil
}

func parseVersion(s string) ([3]int, error) {
	var v [3]int
	s, _, _ = strings.Cut(s, "-")
	parts := strings.Split(s, ".")
	if len(parts) > 3 {
		return v, fmt.Errorf("%q is no version", s)
	}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 {
			return v, fmt.Errorf("%q is no version", s)
		}
		v[i] = n
	}
	return v, nil
}

func compareVersions(a, b [3]int) int {
	for i := range a {
		if a[i] != b[i] {
			return a[i] - b[i]
		}
	}
	return 0
}
