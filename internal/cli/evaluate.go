package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/web/submit"
)

// newEvaluateCmd is the process in which a server evaluates a submitted
// pipeline. serve starts it; people do not.
func newEvaluateCmd(a *app) *cobra.Command {
	var limits submit.Limits
	c := &cobra.Command{
		Use:    "evaluate",
		Short:  "Evaluate one submitted pipeline, read from standard input",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := limits.Apply(); err != nil {
				return err
			}
			var req submit.Request
			if err := json.NewDecoder(a.Stdin).Decode(&req); err != nil {
				return usagef("the request on standard input: %w", err)
			}
			answer := a.evaluateSubmission(c.Context(), req, limits)
			return json.NewEncoder(a.Stdout).Encode(answer)
		},
	}
	c.Flags().DurationVar(&limits.CPU, "cpu", time.Second, "CPU time")
	c.Flags().DurationVar(&limits.Wall, "wall", time.Second, "time")
	c.Flags().Uint64Var(&limits.Memory, "memory", 1<<30, "bytes of writable memory")
	return c
}

func (a *app) evaluateSubmission(ctx context.Context, req submit.Request, limits submit.Limits) submit.Answer {
	stop := hclspec.Watch(hclspec.Limits{CPU: limits.CPU, Heap: limits.Memory / 2}, func(d *hcl.Diagnostic) {
		_ = json.NewEncoder(a.Stdout).Encode(submit.Answer{Result: submit.Result{Report: a.diagnosticsReport(hcl.Diagnostics{d})}})
	})
	defer stop()
	if req.Operation == submit.Assist && req.Question != nil {
		return a.assistSubmission(ctx, req)
	}
	pipe, diags, err := a.loadSubmission(ctx, ".", req.Policy, req.Submission, req.Operation == submit.Validate)
	out := submit.Answer{Result: submit.Result{Report: a.diagnosticsReport(diags)}}
	if err != nil {
		return refused(out, err)
	}
	if pipe == nil {
		return out
	}
	out.Result.Pipeline, out.Result.Sensitive = pipe.Name, submit.SentSensitive(pipe)
	for _, s := range pipe.Steps {
		out.Result.Steps = append(out.Result.Steps, string(s.Address))
	}
	if req.Operation != submit.Plan {
		return out
	}
	plan, err := a.planSubmission(ctx, pipe, req)
	if plan != nil {
		if out.Result.Plan, _ = json.Marshal(plan); out.Result.Plan == nil {
			return refused(out, fmt.Errorf("the plan cannot be written as JSON"))
		}
		diags = append(diags, problemDiagnostics(plan.Problems)...)
	}
	found, rest := splitErrors(err)
	if plan == nil || len(plan.Problems) == 0 {
		diags = append(diags, found...)
	}
	out.Result.Report = a.diagnosticsReport(diags)
	if rest != nil {
		return refused(out, rest)
	}
	return out
}

// assistSubmission answers an editor's question under the rules of the server.
func (a *app) assistSubmission(ctx context.Context, req submit.Request) submit.Answer {
	a.hideSensitive()
	err := a.useServices(req.Policy.Services)
	if err != nil {
		return refused(submit.Answer{}, err)
	}
	found, err := req.Policy.Answer(ctx, ".", req.Submission, *req.Question, a.submissionOptions(true), a.redactor.hide)
	if err != nil {
		return refused(submit.Answer{}, err)
	}
	return submit.Answer{Assistance: &found}
}

// refused adds what went wrong besides diagnostics.
func refused(out submit.Answer, err error) submit.Answer {
	out.Code, out.Error = pipelines.CodeOf(err), err.Error()
	return out
}

// loadSubmission loads what somebody sent, under the rules of the server. The
// pipeline is nil where the diagnostics have errors.
func (a *app) loadSubmission(ctx context.Context, dir string, policy submit.Policy, s submit.Submission, validate bool) (*pipelines.Pipeline, hcl.Diagnostics, error) {
	a.hideSensitive()
	stop := hclspec.Watch(hclspec.DefaultLimits, func(d *hcl.Diagnostic) {
		_ = json.NewEncoder(a.Stdout).Encode(submit.Answer{Result: submit.Result{Report: a.diagnosticsReport(hcl.Diagnostics{d})}})
	})
	defer stop()
	if err := a.useServices(policy.Services); err != nil {
		return nil, nil, err
	}
	p, files, diags, err := policy.Load(ctx, dir, s, a.submissionOptions(validate))
	maps.Copy(a.files, files)
	if p != nil {
		a.sendToServices(p, policy)
		for name, v := range p.Variables {
			if text, ok := s.Variables[name].(string); ok && v.Sensitive {
				a.redactor.add(text, 4)
			}
		}
	}
	return p, diags, err
}

// submissionOptions are what the language needs to know besides a policy.
func (a *app) submissionOptions(validate bool) hclspec.Options {
	return hclspec.Options{Environ: a.getenv, Catalog: catalog{a.Adapters}, Validate: validate, Version: languageVersion()}
}

func (a *app) planSubmission(ctx context.Context, p *pipelines.Pipeline, req submit.Request) (*runner.Plan, error) {
	place, err := a.storePlace(p.Dir, "", storeFlags{store: req.Store})
	if err != nil {
		return nil, err
	}
	place.dir = req.Policy.StateDir
	store, err := place.open(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	planner := runner.Planner{
		Store: store, Adapters: a.Adapters, Datasets: submittedData(req.Cache), Executor: executorFactory(executorHost{bucket: a.podBucket(p), publicOnly: true, services: req.Policy.Services}), GPUs: req.GPUs,
		Claim: runner.Claim{Source: req.Submission.Source, State: "of the server"}, Now: a.Now,
	}
	return planner.Plan(ctx, p, runner.PlanOptions{Targets: req.Submission.Targets, Replace: req.Submission.Replace})
}

// splitErrors takes the diagnostics out of an error that may be joined of
// many, and what is left.
func splitErrors(err error) (found hcl.Diagnostics, rest error) {
	if err == nil {
		return nil, nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		if _, isDiags := err.(hcl.Diagnostics); !isDiags {
			for _, e := range joined.Unwrap() {
				d, r := splitErrors(e)
				found, rest = append(found, d...), errors.Join(rest, r)
			}
			return found, rest
		}
	}
	if diags, ok := diagnosticsOf(err); ok {
		return diags, nil
	}
	return nil, err
}
