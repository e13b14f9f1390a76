package cli

import (
	"context"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
)

// pipelineFlags say which pipeline, with which variables.
type pipelineFlags struct {
	vars     []string
	varFiles []string
}

func (f *pipelineFlags) register(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.vars, "var", nil, "set a variable, `NAME=VALUE`; may be repeated")
	c.Flags().StringArrayVar(&f.varFiles, "var-file", nil, "read variables from `FILE`; may be repeated")
}

// options are the language's, for this command line.
func (a *app) options(f pipelineFlags) hclspec.Options {
	files := make([]string, len(f.varFiles))
	for i, name := range f.varFiles {
		files[i] = a.path(name)
	}
	return hclspec.Options{Vars: f.vars, VarFiles: files, Environ: a.getenv, Catalog: catalog{a.builtIn}, Version: languageVersion()}
}

// load reads the pipeline at path under the watchdog and remembers its
// sources for messages. Its error is diagnostics.
func (a *app) load(ctx context.Context, path string, opts hclspec.Options) (*pipelines.Pipeline, hcl.Diagnostics, error) {
	a.hideSensitive()
	stop := hclspec.Watchdog(a.Stderr, hclspec.DefaultLimits)
	defer stop()
	started := time.Now()
	own := a.ownAdapters(path)
	if opts.External == nil {
		opts.External = own.load
	}
	p, files, diags := hclspec.Load(ctx, path, opts)
	a.Adapters = own.with(a.Adapters)
	a.log.Debug("loaded", "path", path, "files", len(files), "diagnostics", len(diags), "took", time.Since(started))
	maps.Copy(a.files, files)
	a.remember(path, p)
	a.hideVariables(p, opts.Vars)
	if err := ctx.Err(); err != nil {
		return nil, diags, err
	}
	if diags.HasErrors() {
		return nil, diags, diags
	}
	return p, diags, nil
}

// remember keeps what outcomes are filed under.
func (a *app) remember(path string, p *pipelines.Pipeline) {
	if abs, err := filepath.Abs(path); err == nil {
		a.source = strings.TrimSuffix(filepath.Base(abs), ".hcl")
	}
	if p != nil && p.Name != "" {
		a.source = p.Name
	}
}

// loadForUse loads for a command that goes on with the pipeline: warnings are
// printed and only errors come back.
func (a *app) loadForUse(ctx context.Context, path string, f pipelineFlags) (*pipelines.Pipeline, error) {
	p, diags, err := a.load(ctx, path, a.options(f))
	if err != nil {
		return nil, err
	}
	if !a.json {
		a.printDiagnostics(a.Stderr, diags)
	}
	return p, nil
}

// pipelinePath is the folder or file that a command's argument names; the
// current folder without one.
func (a *app) pipelinePath(args []string) string {
	if len(args) > 0 {
		return a.path(args[0])
	}
	return a.path(".")
}

// hideSensitive remembers environment values that look secret, so that no
// message or log shows them.
func (a *app) hideSensitive() {
	for name, value := range a.env {
		if secretKey.MatchString(strings.TrimPrefix(name, "RUNNER_VAR_")) {
			a.redactor.add(value, 8) // a guess by name: words like "true" stay readable
		}
	}
}

// hideVariables remembers the values of sensitive variables.
func (a *app) hideVariables(p *pipelines.Pipeline, given []string) {
	if p == nil {
		return
	}
	for name, v := range p.Variables {
		if !v.Sensitive {
			continue
		}
		a.redactor.add(a.env["RUNNER_VAR_"+name], 4)
		for _, kv := range given {
			if key, value, _ := strings.Cut(kv, "="); key == name {
				a.redactor.add(value, 4)
			}
		}
	}
}
