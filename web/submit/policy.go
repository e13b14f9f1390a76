package submit

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
)

// Policy is what the operator of a server lets submitted pipelines use. The
// zero value allows no path, no environment and no executor but this machine.
type Policy struct {
	// DataRoot is the folder under which every path must lie, and against which
	// relative ones are resolved; "" = none may be named.
	DataRoot string `json:"data_root,omitempty"`
	// StateDir is the folder of the server's own runs, whose checkpoints may be used.
	StateDir string `json:"state_dir,omitempty"`
	// Env are names of the environment that env() and secret() read, and that
	// steps on this machine may set.
	Env []string `json:"env,omitempty"`
	// Executors are the types allowed besides local.
	Executors []Rule `json:"executors,omitempty"`
	// Artifacts are the places where checkpoints and artifacts may be kept.
	Artifacts []Rule `json:"artifacts,omitempty"`
	// Images are those that containers may be made of; a * at the end stands
	// for every rest.
	Images []string `json:"images,omitempty"`
	// Services are adapters that other servers have: their steps run there.
	Services []Service `json:"services,omitempty"`
	// PrivateAddresses lets steps use servers on this machine and in private networks.
	PrivateAddresses bool `json:"private_addresses,omitempty"`
}

// Service is an adapter that another server has.
type Service struct {
	Adapter string `json:"adapter"`
	URL     string `json:"url"`
	Token   string `json:"token,omitempty"`
	// File has its description, as last heard.
	File string `json:"file"`
}

// Rule allows a type of executor or of artifacts. What it lists must be written
// so; of other arguments only those that are free may be.
type Rule struct {
	Type      string            `json:"type"`
	Arguments map[string]string `json:"arguments,omitempty"`
}

// freeArguments of executor blocks only size a step, or (of remote) only matter to
// the server that another argument names. An image is held against Policy.Images.
var freeArguments = []string{"slots", "gpus", "cpus", "memory", "resources", "node_selector", "token", "root", "image"}

// freeKeys of artifacts blocks only matter to the place that others name.
var freeKeys = []string{"access_key_id", "secret_access_key", "path_style"}

// ParseRule reads TYPE[,ARGUMENT=VALUE]…, as in kubernetes,namespace=ml.
func ParseRule(text string) (Rule, error) {
	parts := strings.Split(text, ",")
	r := Rule{Type: parts[0], Arguments: map[string]string{}}
	for _, p := range parts[1:] {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return r, pipelines.Errorf(pipelines.CodeInvalid, "%q: after the type stand ARGUMENT=VALUE, as in kubernetes,namespace=ml or s3,bucket=models", text)
		}
		r.Arguments[name] = value
	}
	if r.Type == "" {
		return r, pipelines.Errorf(pipelines.CodeInvalid, "%q names no type, such as kubernetes or s3", text)
	}
	return r, nil
}

// Load makes a pipeline of a submission under the policy. opts say what the
// language needs besides: catalog, version, and whether it is only validated.
// What the policy refuses is in the diagnostics with its range; what comes to
// be known later is refused by the steps' Resolve. dir is the pipeline's own
// folder, where its lock file is looked for.
func (p Policy) Load(ctx context.Context, dir string, s Submission, opts hclspec.Options) (*pipelines.Pipeline, hclspec.Files, hcl.Diagnostics, error) {
	opts, err := p.options(s, opts)
	if err != nil {
		return nil, nil, nil, err
	}
	pipe, files, diags := hclspec.Load(ctx, dir, opts)
	if diags.HasErrors() {
		return nil, files, diags, nil
	}
	diags = append(diags, p.guard(pipe, opts.Validate)...)
	if diags.HasErrors() {
		pipe = nil
	}
	return pipe, files, diags, nil
}

// options are what the language reads a submission with.
func (p Policy) options(s Submission, opts hclspec.Options) (hclspec.Options, error) {
	if err := s.Check(); err != nil {
		return opts, err
	}
	vars, err := s.vars()
	if err != nil {
		return opts, err
	}
	environ := opts.Environ
	opts.Environ = func(name string) (string, bool) {
		if environ == nil || !slices.Contains(p.Env, name) {
			return "", false
		}
		return environ(name)
	}
	opts.Sources, opts.Vars, opts.VarFiles, opts.Values = s.sources(), vars, nil, nil
	opts.Base, opts.Submission = p.DataRoot, &hclspec.Submission{Env: p.Env}
	return opts, nil
}

// guard refuses what the pipeline says outside of steps, and has every step
// checked each time that it is resolved.
func (p Policy) guard(pipe *pipelines.Pipeline, validating bool) hcl.Diagnostics {
	var c collector
	for _, x := range pipe.Executors {
		p.executor(&c, x)
	}
	if b := pipe.Artifacts; b != nil {
		p.artifacts(&c, *b)
	}
	for _, b := range slices.Concat(pipe.Trackers, pipe.Notifies) {
		c.refuse(b.Range, "The server connects to nothing that a submitted pipeline names. Remove the %s block; watch the run through the server instead.", b.Type)
	}
	for i, step := range pipe.Steps {
		resolve, kind := step.Resolve, executorType(pipe, step)
		guarded := func(results pipelines.Results) (pipelines.Spec, error) {
			spec, err := resolve(results)
			if err != nil {
				return spec, err
			}
			var c collector
			p.spec(&c, spec, step.Range, kind)
			if len(c.diags) > 0 {
				return spec, c.diags
			}
			return spec, nil
		}
		pipe.Steps[i].Resolve = guarded
		if !validating { // the planner resolves them
			continue
		}
		if spec, err := resolve(pipelines.Results{}); err == nil {
			p.spec(&c, spec, step.Range, kind)
		}
	}
	return c.diags
}

// executorType is where a step runs.
func executorType(pipe *pipelines.Pipeline, step pipelines.Step) string {
	if x, ok := pipe.Executors[step.Executor]; ok {
		return x.Type
	}
	return "local"
}

func (p Policy) executor(c *collector, x pipelines.ExecutorConfig) {
	switch image := x.Attributes["image"].(type) {
	case nil:
	case string:
		p.image(c, x.Range, image)
	default: // a sensitive value
		c.refuse(x.Range, "The image may not be sensitive here: the server's operator allows images by their names.")
	}
	var rules []Rule
	if x.Type == "local" {
		rules = append(rules, Rule{Type: "local"})
	}
	for _, r := range p.Executors {
		if r.Type == x.Type {
			rules = append(rules, r)
		}
	}
	if len(rules) == 0 {
		c.refuse(x.Range, "Steps may run on %s here, not on %q. The server's operator allows more with --allow-executor.", p.executorTypes(), x.Type)
		return
	}
	why := ""
	for _, r := range rules {
		if why = r.refuses(x.Attributes, freeArguments); why == "" {
			return
		}
	}
	c.refuse(x.Range, "%q of executor %q must be as the server's operator allows it with --allow-executor %s,%s=VALUE.", why, x.Type, x.Type, why)
}

// refuses names an argument that the rule does not allow, or lists and that is
// missing: what is left out has another meaning, as another namespace, the whole
// bucket or another service.
func (r Rule) refuses(given map[string]any, free []string) string {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if slices.Contains(free, name) {
			continue
		}
		text, ok := given[name].(string) // a sensitive one is none
		if want, allowed := r.Arguments[name]; !ok || !allowed || text != want {
			return name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Arguments)) {
		if given[name] == nil {
			return name
		}
	}
	return ""
}

// artifacts holds the place of checkpoints and artifacts against the policy.
func (p Policy) artifacts(c *collector, b pipelines.BackendConfig) {
	given := maps.Clone(b.Attributes)
	for name, secret := range b.Secrets {
		given[name] = secret
	}
	why := ""
	for _, r := range p.Artifacts {
		if r.Type != b.Type {
			continue
		}
		if why = r.refuses(given, freeKeys); why == "" {
			return
		}
	}
	if why == "" {
		c.refuse(b.Range, "Checkpoints and artifacts may not be kept by artifacts %q here. Remove the block, or have the server's operator allow it with --allow-artifacts TYPE,ARGUMENT=VALUE, as in s3,bucket=NAME.", b.Type)
		return
	}
	c.refuse(b.Range, "%q of artifacts %q must be as the server's operator allows it with --allow-artifacts %s,%s=VALUE.", why, b.Type, b.Type, why)
}

func (p Policy) executorTypes() string {
	names := []string{"local"}
	for _, r := range p.Executors {
		if !slices.Contains(names, r.Type) {
			names = append(names, r.Type)
		}
	}
	return strings.Join(names, ", ")
}

func (p Policy) image(c *collector, at pipelines.Range, image string) {
	for _, allowed := range p.Images {
		if prefix, ok := strings.CutSuffix(allowed, "*"); image == allowed || ok && strings.HasPrefix(image, prefix) {
			return
		}
	}
	c.refuse(at, "The image %q may not be used here. The server's operator allows images with --allow-image.", image)
}

// spec holds what a step names against the policy.
func (p Policy) spec(c *collector, s pipelines.Spec, step pipelines.Range, executor string) {
	at := func(field string) pipelines.Range {
		if r, ok := s.Ranges[field]; ok {
			return r
		}
		return step
	}
	if s.Dataset != nil {
		p.dataset(c, *s.Dataset, s.Ranges)
	}
	if m := s.Model; m != nil {
		if w := m.Weights; w != nil {
			p.path(c, at("model.weights"), w.Path)
			p.checkpoint(c, at("model.weights"), w.Checkpoint)
		}
		if strings.HasSuffix(m.Name, ".onnx") {
			p.path(c, at("model.name"), p.resolve(m.Name))
		}
	}
	if t := s.Train; t != nil && t.Start != nil {
		p.checkpoint(c, at("train.start.checkpoint"), &t.Start.Checkpoint)
	}
	if e := s.Evaluate; e != nil {
		p.checkpoint(c, at("evaluate.checkpoint"), &e.Checkpoint)
	}
	if e := s.Export; e != nil {
		p.checkpoint(c, at("export.checkpoint"), &e.Checkpoint)
	}
	if cmd := s.Command; cmd != nil {
		if cmd.Image != "" {
			p.image(c, at("command.image"), cmd.Image)
		}
		for _, path := range cmd.Inputs {
			p.path(c, at("command.inputs"), path, p.StateDir)
		}
		for _, path := range cmd.Outputs {
			p.path(c, at("command.outputs"), path)
		}
	}
	if executor == "local" || executor == "remote" { // a container has an environment of its own
		for name := range s.Env {
			p.env(c, at("env"), name)
		}
		for name := range s.SecretEnv {
			p.env(c, at("env"), name)
		}
	}
}

func (p Policy) env(c *collector, at pipelines.Range, name string) {
	if !slices.Contains(p.Env, name) {
		c.refuse(at, "A step on the server's machine may not set %s: variables such as LD_PRELOAD run programs. The operator allows names with --allow-env.", name)
	}
}

func (p Policy) dataset(c *collector, d pipelines.DatasetSpec, ranges map[string]pipelines.Range) {
	at := func(field string) pipelines.Range {
		if r, ok := ranges[field]; ok {
			return r
		}
		return d.Range
	}
	p.path(c, at("dataset.path"), d.Path, p.StateDir)
	for _, path := range d.Paths {
		p.path(c, at("dataset.paths"), path, p.StateDir)
	}
	for _, u := range d.Union {
		p.dataset(c, u, nil)
	}
}

func (p Policy) checkpoint(c *collector, at pipelines.Range, ck *pipelines.Checkpoint) {
	if ck != nil {
		p.path(c, at, ck.Path, p.StateDir)
	}
}

func (p Policy) resolve(path string) string {
	if filepath.IsAbs(path) || strings.Contains(path, "://") {
		return path
	}
	return filepath.Join(p.DataRoot, path)
}

// Place finds a path, relative to the data root, for those who may use what lies there.
func (p Policy) Place(path string) (string, error) {
	if p.DataRoot == "" {
		return "", pipelines.Errorf(pipelines.CodeInvalid, "the server was started without --data-root, so no data may be named")
	}
	at := p.resolve(path)
	if strings.Contains(path, "://") || !inside(p.DataRoot, at) {
		return "", pipelines.Errorf(pipelines.CodeInvalid, "the path %.200q leads out of the server's --data-root", path)
	}
	return at, nil
}

// path refuses what leads out of the data root and the other folders given.
func (p Policy) path(c *collector, at pipelines.Range, path string, also ...string) {
	if path == "" {
		return
	}
	if strings.Contains(path, "://") {
		c.refuse(at, "The address %.200q may not be read here: data lies under the server's --data-root.", path)
		return
	}
	for _, root := range append([]string{p.DataRoot}, also...) {
		if root != "" && inside(root, path) {
			return
		}
	}
	if p.DataRoot == "" {
		c.refuse(at, "The server was started without --data-root, so no path may be named.")
		return
	}
	c.refuse(at, "The path %.200q leads out of the folder whose data may be used. Write it relative to the server's --data-root.", path)
}

// inside reports that path lies under root, links followed as far as it exists.
func inside(root, path string) bool {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return false
	}
	if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
		return false
	}
	path = filepath.Clean(path)
	rest := ""
	for at := path; ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			path = filepath.Join(real, rest)
			break
		}
		if _, there := os.Lstat(at); there == nil || at == filepath.Dir(at) {
			return false // a link to nowhere, or nothing that can be looked at
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
	rel, err := filepath.Rel(root, path)
	return err == nil && filepath.IsLocal(rel)
}

// collector gathers refusals, each once.
type collector struct {
	diags hcl.Diagnostics
	seen  map[refusal]bool
}

type refusal struct {
	at     pipelines.Range
	detail string
}

func (c *collector) refuse(at pipelines.Range, detail string, args ...any) {
	r := refusal{at, fmt.Sprintf(detail, args...)}
	if c.seen[r] {
		return
	}
	if c.seen == nil {
		c.seen = map[refusal]bool{}
	}
	c.seen[r] = true
	d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: hclspec.SummaryNotAllowed, Detail: r.detail}
	if !at.IsZero() {
		d.Subject = hclspec.HCLRange(at).Ptr()
	}
	c.diags = append(c.diags, d)
}
