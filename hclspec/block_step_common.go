package hclspec

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/pipelines"
)

// commonArguments may stand in every step.
var commonArguments = []string{"executor", "for_each", "depends_on", "timeout", "env"}

var retryBlock = &blockSpec{Type: "retry", Required: []string{"attempts"}, Optional: []string{"on"}, Words: map[string][]string{"on": causeWords()}}

func causeWords() []string {
	var all []string
	for _, c := range pipelines.Causes {
		all = append(all, string(c))
	}
	return all
}

// defaultRetryCauses are those that a repetition can cure.
var defaultRetryCauses = []pipelines.Cause{pipelines.CausePreempted, pipelines.CauseInfrastructure}

// decoded is one step instance: its spec and what pipelines.Step says of it.
type decoded struct {
	spec     pipelines.Spec
	executor pipelines.Address
	retry    pipelines.Retry
	timeout  time.Duration
	onChange pipelines.OnChange
	inactive []inactiveField // written config fields without effect in this instance
	ok       bool            // adapter, task and model are known
	diags    hcl.Diagnostics
}

// decodeStep evaluates one instance of a step against the evaluator's results.
func (e *evaluator) decodeStep(n *node, i *instance) decoded {
	s := e.scope(i)
	d := decoded{ok: true}
	d.spec = pipelines.Spec{Address: i.address(n), Kind: n.stepKind()}
	switch n.stepKind() {
	case pipelines.KindTrain:
		s.train(n.block, &d)
	case pipelines.KindEvaluate:
		s.evaluate(n, &d)
	case pipelines.KindExport:
		s.export(n, &d)
	case pipelines.KindStep:
		s.command(n.block, &d)
	}
	s.common(n.block, &d)
	if len(s.unknown) > 0 {
		d.spec.Unknown = s.unknown
	}
	d.spec.Ranges = s.ranges
	d.diags = s.diags
	return d
}

// common decodes what every step may have.
func (s *scope) common(b *block, d *decoded) {
	d.spec.SecretEnv = map[string]pipelines.Secret{}
	d.spec.Env = s.textMap(b, "env", "env", late, d.spec.SecretEnv)
	for name := range d.spec.Env {
		s.checkEnvName(b, name)
	}
	for name := range d.spec.SecretEnv {
		s.checkEnvName(b, name)
	}
	d.timeout = s.duration(b, "timeout", "timeout")
	if a, ok := b.attrs["executor"]; ok {
		if address, ok := s.executorRef(a); ok {
			d.executor = address
		}
	}
	if d.spec.Command != nil && d.executor != "" {
		s.containerOf(b, d.executor)
	}
	if r := b.one("retry"); r != nil {
		d.retry = s.retry(r)
	}
	s.dependsOn(b)
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (s *scope) checkEnvName(b *block, name string) {
	if !envName.MatchString(name) {
		s.fail(entryRange(b.attrs["env"].Expr, name), "Invalid name", "%q cannot be an environment variable: letters, digits and _ only, no digit first.", name)
	}
	if strings.HasPrefix(name, "RUNNER_") {
		s.fail(entryRange(b.attrs["env"].Expr, name), "Invalid name", "%q: names that start with RUNNER_ belong to the runner.", name)
	}
}

func (s *scope) duration(b *block, name, path string) time.Duration {
	t, ok := s.text(b, name, path, early)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(t)
	if err != nil || d <= 0 {
		s.fail(b.at(name), "Invalid value", "%q must be a duration such as \"90s\", \"45m\" or \"2h30m\", not %q.", name, t)
		return 0
	}
	return d
}

func (s *scope) retry(b *block) pipelines.Retry {
	var out pipelines.Retry
	if n, ok := s.whole(b, "attempts", "retry.attempts", 1, 100); ok {
		out.Attempts = int(n)
	}
	out.On = defaultRetryCauses
	list, ok := s.texts(b, "on", "retry.on")
	if !ok {
		return out
	}
	all := b.spec.Words["on"]
	out.On = nil
	for _, name := range list {
		if !slices.Contains(all, name) {
			s.fail(b.at("on"), "Invalid value", "There is no cause %q; there are %s.%s", name, orList(all), didYouMean(name, all))
			continue
		}
		out.On = append(out.On, pipelines.Cause(name))
	}
	return out
}

// dependsOn checks that depends_on lists steps; the references themselves
// make the order.
func (s *scope) dependsOn(b *block) {
	a, ok := b.attrs["depends_on"]
	if !ok {
		return
	}
	list, diags := hcl.ExprList(a.Expr)
	if diags.HasErrors() {
		s.fail(a.Expr.Range(), "Invalid value", "\"depends_on\" must be a list of steps: [train.NAME, step.NAME].")
		return
	}
	for _, item := range list {
		t, diags := hcl.AbsTraversalForExpr(item)
		if diags.HasErrors() || !isStepRoot(t.RootName()) {
			s.fail(item.Range(), "Invalid value", "\"depends_on\" lists steps only: train.NAME, evaluate.NAME, export.NAME or step.NAME.")
		}
	}
}

func isStepRoot(root string) bool {
	return root == "train" || root == "evaluate" || root == "export" || root == "step"
}

// blockRef evaluates an argument that names a block, such as model = model.x.
func (s *scope) blockRef(expr hclsyntax.Expression, kind, name string) (string, bool) {
	v, diags := s.e.eval(expr, s.each)
	s.diags = append(s.diags, diags...)
	if diags.HasErrors() {
		return "", false
	}
	return s.blockRefValue(v, expr.Range(), kind, name)
}

func (s *scope) blockRefValue(v cty.Value, at hcl.Range, kind, name string) (string, bool) {
	bare, m := unmark(v)
	if !bare.IsKnown() {
		s.admit(v, name, name, at, early)
		return "", false
	}
	if ty := bare.Type(); !bare.IsNull() && ty.IsObjectType() && ty.HasAttribute("address") {
		if address := stringOf(bare.GetAttr("address")); strings.HasPrefix(address, kind+".") {
			return address, true
		}
	}
	if m.sensitive {
		bare = cty.StringVal("(sensitive)")
	}
	hint := ""
	if t := stringOf(bare); t != "" {
		hint = " References have no quotes."
	}
	s.fail(at, "Invalid reference", "%q must name %s: %s = %s, not %s.%s", name, article(kind+" block"), name, example(kind), show(bare), hint)
	return "", false
}

// executorRef decodes executor = executor.TYPE.NAME; the address is "" when
// the executor runs locally.
func (s *scope) executorRef(a *hclsyntax.Attribute) (pipelines.Address, bool) {
	address, ok := s.blockRef(a.Expr, "executor", "executor")
	if !ok {
		return "", false
	}
	n := s.e.m.nodes[address]
	if n == nil {
		return "", false
	}
	if kind := n.block.labels[0]; !slices.Contains([]string{"local", "dagger", "kubernetes", "remote"}, kind) {
		s.e.m.notYet(s, a.Expr.Range(), "Running steps on the executor type \""+kind+"\" is not part of this version.")
	}
	return pipelines.Address(address), true
}
