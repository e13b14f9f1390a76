package submit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Submission is a pipeline as it is sent.
type Submission struct {
	// Files are the sources by name: *.hcl of one folder, *.auto.vars.hcl and
	// the lock file among them.
	Files map[string]string `json:"files" minProperties:"1" doc:"the pipeline's files by name: *.hcl, also *.auto.vars.hcl and .runner.lock.hcl"`
	// Variables are values of variables, over those of files.
	Variables map[string]any `json:"variables,omitempty" doc:"values of variables; as --var gives them"`
	Commit    string         `json:"commit,omitempty" maxLength:"200" doc:"git commit of the sources, in full"`
	Branch    string         `json:"branch,omitempty" maxLength:"500" doc:"and its branch"`
	// Source says whose sources they are, so that two projects of one name do
	// not take each other's state (runner.Claim).
	Source  string   `json:"source,omitempty" maxLength:"500" doc:"where the sources are at home, a repository and folder; two homes cannot claim one pipeline name"`
	Targets []string `json:"targets,omitempty" maxItems:"100" doc:"only these steps and what they need"`
	Replace []string `json:"replace,omitempty" maxItems:"100" doc:"steps to run anew although nothing changed"`
}

const maxFiles = 200

var fileName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\.hcl$`)

// Check refuses names that are no files of a pipeline. What the texts say is
// not looked at.
func (s Submission) Check() error {
	if len(s.Files) == 0 {
		return pipelines.Errorf(pipelines.CodeInvalid, `there are no files: send the pipeline as "files": {"main.hcl": "…"}`)
	}
	if len(s.Files) > maxFiles {
		return pipelines.Errorf(pipelines.CodeInvalid, "there are %d files; %d at most", len(s.Files), maxFiles)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		if name == runner.LockFileName {
			continue
		}
		vars := strings.HasSuffix(name, ".vars.hcl") && name != "runner.vars.hcl" && !strings.HasSuffix(name, ".auto.vars.hcl")
		if !fileName.MatchString(name) || vars || strings.HasSuffix(name, ".rtest.hcl") {
			return pipelines.Errorf(pipelines.CodeInvalid, "%.100q is not a file of a pipeline: a name without folders that ends in .hcl, and values only in runner.vars.hcl and *.auto.vars.hcl", name)
		}
	}
	return nil
}

// sources are the files that the language reads, in the order of their names.
func (s Submission) sources() []pipelines.Source {
	out := []pipelines.Source{}
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		if name != runner.LockFileName {
			out = append(out, pipelines.Source{Filename: name, Text: []byte(s.Files[name])})
		}
	}
	return out
}

// vars are the variables as the command line gives them, NAME=VALUE.
func (s Submission) vars() ([]string, error) {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s.Variables)) {
		text, err := literal(s.Variables[name])
		if err != nil {
			return nil, pipelines.Errorf(pipelines.CodeInvalid, "variable %.100q: %w", name, err)
		}
		out = append(out, name+"="+text)
	}
	return out, nil
}

// SentSensitive names the sensitive variables of a submitted pipeline whose
// values came with it, in its variables or in a file of values. Defaults are
// part of the pipeline's text, and values of the server's environment were not sent.
func SentSensitive(p *pipelines.Pipeline) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(p.Variables)) {
		if v := p.Variables[name]; v.Sensitive && (v.Source == "--var" || v.Source == "file") {
			out = append(out, name)
		}
	}
	return out
}

// literal writes a JSON value as --var takes it: text as it is, the rest as an
// HCL expression that calls and refers to nothing.
func literal(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", fmt.Errorf("it is null; leave it out to use its default")
	case string:
		return v, nil
	}
	return literalJSON(v)
}

// literalJSON writes a JSON value as HCL: much the same, but text that HCL
// would take for a template is escaped, and the escapes that it lacks are
// written as code points.
func literalJSON(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return hclEscapes.Replace(strings.TrimSpace(b.String())), nil
}

var hclEscapes = strings.NewReplacer(`\\`, `\\`, "${", "$${", "%{", "%%{", `\b`, `\u0008`, `\f`, `\u000c`)
