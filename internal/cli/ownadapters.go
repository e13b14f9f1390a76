package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/external"
	"github.com/trainwright/trainwright/adapters/python"
	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// ownAdapters are those that a pipeline declares, as they are met while it is loaded.
type ownAdapters struct {
	dir   string // of the pipeline
	host  python.Host
	found adapters.Registry
}

func (a *app) ownAdapters(path string) *ownAdapters {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		path = filepath.Dir(path)
	}
	return &ownAdapters{dir: path, host: pythonHost(a.getenv)}
}

// load is hclspec.Options.External.
func (o *ownAdapters) load(c pipelines.AdapterConfig) (hclspec.Catalog, error) {
	ad, err := external.Load(o.dir, c, o.host)
	if err != nil {
		return nil, err
	}
	o.found = append(o.found, ad)
	return catalog{adapters.Registry{ad}}, nil
}

// with returns a registry with these in it, in place of earlier ones of their names.
func (o *ownAdapters) with(r adapters.Registry) adapters.Registry {
	r = slices.Clone(r)
	for _, ad := range o.found {
		name := ad.Info().Name
		r = append(slices.DeleteFunc(r, func(x adapters.Adapter) bool { return x.Info().Name == name }), ad)
	}
	return r
}

// declareAdapters adds the adapters that the pipeline in the current folder
// declares, for commands that need no pipeline. What is wrong with it is for
// validate to tell.
func (a *app) declareAdapters(ctx context.Context) {
	path := a.path(".")
	if found, err := hclFiles(path, false); err != nil || len(found) == 0 {
		return
	}
	opts := a.options(pipelineFlags{})
	opts.Validate = true
	if _, diags, err := a.load(ctx, path, opts); err != nil {
		a.log.Debug("the pipeline in this folder has problems; runner validate tells them", "problems", len(diags))
	}
}

// errLater ends the loading of an adapter that is only to be found.
var errLater = errors.New("not described yet")

// declared lists the adapter blocks of a pipeline, whatever else is wrong with it.
func (a *app) declared(ctx context.Context, path string, flags pipelineFlags) ([]pipelines.AdapterConfig, error) {
	var out []pipelines.AdapterConfig
	opts := a.options(flags)
	opts.Validate = true
	opts.External = func(c pipelines.AdapterConfig) (hclspec.Catalog, error) {
		out = append(out, c)
		return nil, errLater
	}
	_, diags, err := a.load(ctx, path, opts)
	if ctx.Err() != nil {
		return nil, err
	}
	if len(out) == 0 && diags.HasErrors() {
		return nil, err
	}
	return out, nil
}

// describeAdapters describes the adapters that a pipeline declares, and
// returns the names of those whose description was written.
func (a *app) describeAdapters(ctx context.Context, path string, flags pipelineFlags, o adapters.PrepareOptions) ([]string, error) {
	own := a.ownAdapters(path)
	configs, err := a.declared(ctx, path, flags)
	if err != nil {
		return nil, err
	}
	o.Tell = a.tell
	var written []string
	for _, c := range configs {
		if _, err := external.Load(own.dir, c, own.host); err == nil {
			continue
		}
		env, err := external.Environment(c, own.host)
		if err != nil {
			return written, err
		}
		if err := env.Make(ctx, o); err != nil {
			return written, err
		}
		wrote, warnings, err := external.Describe(ctx, own.dir, c, own.host)
		for _, w := range warnings {
			a.tell(fmt.Sprintf("Warning: adapter %q: %s", c.Name, w))
		}
		if err != nil {
			return written, err
		}
		for _, line := range env.Requirements.Unpinned() {
			a.tell(fmt.Sprintf("Warning: adapter %q: %s in %s names no exact version, so results may change with the day of installation; write NAME==VERSION", c.Name, line, filepath.Base(c.Requirements)))
		}
		if wrote {
			written = append(written, c.Name)
		}
	}
	return written, nil
}

// tell writes a line for people, where it disturbs no program.
func (a *app) tell(line string) {
	if !a.json {
		fmt.Fprintln(a.Stderr, line)
	}
}

func registerPrepare(c *cobra.Command, o *adapters.PrepareOptions) {
	c.Flags().BoolVar(&o.Offline, "offline", false, "install Python packages only from wheel folders")
	c.Flags().StringArrayVar(&o.Wheels, "find-links", nil, "look for Python packages in `FOLDER` too; may be repeated")
}

// prepareAdapters obtains what the adapters of these steps need on this machine.
func (a *app) prepareAdapters(ctx context.Context, steps []pipelines.Step, o adapters.PrepareOptions) error {
	o.Tell = a.tell
	done := map[string]bool{}
	for _, s := range steps {
		ad, ok := a.Adapters.Lookup(s.Adapter)
		if !ok || done[s.Adapter] {
			continue
		}
		done[s.Adapter] = true
		if p, ok := ad.(adapters.Preparer); ok {
			if err := p.Prepare(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// equip makes sure that the steps which a plan runs on this machine find what
// their adapters need: it is obtained, or with offline it is an error.
func (a *app) equip(ctx context.Context, p *pipelines.Pipeline, plan *runner.Plan, offline bool) error {
	var steps []pipelines.Step
	var problems runner.Problems
	for _, s := range p.Steps {
		i := slices.IndexFunc(plan.Steps, func(x runner.PlannedStep) bool { return x.Address == s.Address })
		if i < 0 || plan.Steps[i].Action == runner.ActionReuse {
			continue
		}
		if kind := p.Executors[s.Executor].Type; kind != "" && kind != "local" {
			continue
		}
		steps = append(steps, s)
		if ad, ok := a.Adapters.Lookup(s.Adapter); ok && offline {
			if need, ok := ad.(adapters.Preparer); ok {
				if err := need.Ready(); err != nil {
					problems = append(problems, runner.Problem{Severity: runner.SeverityError, Summary: "Adapter is not ready", Detail: fmt.Sprintf("%s: %s", s.Address, err), Range: s.Range})
				}
			}
		}
	}
	if err := problems.Err(pipelines.CodeUnavailable); err != nil || offline {
		return err
	}
	return a.prepareAdapters(ctx, steps, adapters.PrepareOptions{})
}
