package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/client"
	"github.com/trainwright/trainwright/web"
	"github.com/trainwright/trainwright/web/submit"
)

// serverFlags name a `runner serve` that does the work.
type serverFlags struct{ server string }

func (f *serverFlags) register(c *cobra.Command, what string) {
	c.Flags().StringVar(&f.server, "server", "", what+" the runner serve at `URL`, with the token in RUNNER_TOKEN")
}

// connect makes a client of the server that the flags name.
func (a *app) connect(f serverFlags) (*client.Client, error) {
	token := a.env["RUNNER_TOKEN"]
	a.redactor.add(token, 1)
	return client.New(f.server, token)
}

// applyOnServer hands the pipeline to a server, and follows it to its end.
func (a *app) applyOnServer(ctx context.Context, path string, flags planFlags, how applyFlags, f serverFlags, detach bool) error {
	a.startStream()
	c, err := a.connect(f)
	if err != nil {
		return err
	}
	sub, dir, err := a.submission(ctx, path, flags)
	if err != nil {
		return err
	}
	if !how.autoApprove {
		if err := a.planOnServer(ctx, c, sub); err != nil {
			return err
		}
		if err := a.approve(ctx, how); err != nil {
			return err
		}
	}
	var filed web.Apply
	if err := c.Post(ctx, "/api/v1/pipelines/apply", client.Key(), sub, &filed); err != nil {
		return a.serverError(err)
	}
	if how.ui { // its runs are not known yet
		page := c.Address() + "/#/runs"
		fmt.Fprintf(a.Stderr, "Page: %s\n", page)
		a.browse(page)
	}
	if detach {
		return a.show(filed, func(w io.Writer) {
			fmt.Fprintf(w, "Apply %s is queued on %s.\nFollow it with: runner status --server %s --apply %s --wait\n", filed.ApplyID, c.Address(), c.Address(), filed.ApplyID)
		})
	}
	return a.follow(ctx, c, filed.ApplyID, dir)
}

// submission reads the pipeline's files and checks them before they travel.
func (a *app) submission(ctx context.Context, path string, flags planFlags) (submit.Submission, string, error) {
	opts := a.options(flags.pipelineFlags)
	opts.Validate = true // what is of the server's machine is not known here
	p, diags, err := a.load(ctx, path, opts)
	if err != nil {
		return submit.Submission{}, "", err
	}
	if !a.json {
		a.printDiagnostics(a.Stderr, diags)
	}
	s := submit.Submission{Files: map[string]string{}, Variables: map[string]any{}, Targets: flags.targets, Replace: flags.replace}
	for _, src := range p.Sources {
		if !filepath.IsLocal(src.Filename) || strings.Contains(src.Filename, "/") {
			continue // a --var-file, sent below
		}
		s.Files[src.Filename] = string(src.Text)
	}
	for i, name := range flags.varFiles {
		text, err := os.ReadFile(a.path(name))
		if err != nil {
			return s, "", usagef("--var-file: %w", err)
		}
		s.Files[fmt.Sprintf("zz%03d.auto.vars.hcl", i)] = string(text) // after the folder's own
	}
	if text, err := os.ReadFile(filepath.Join(p.Dir, runner.LockFileName)); err == nil {
		s.Files[runner.LockFileName] = string(text)
	}
	for name := range p.Variables {
		if v, ok := a.env["RUNNER_VAR_"+name]; ok {
			s.Variables[name] = v
		}
	}
	for _, kv := range flags.vars {
		name, v, _ := strings.Cut(kv, "=")
		s.Variables[name] = v
	}
	for name, v := range p.Variables {
		if _, given := s.Variables[name]; given && v.Sensitive {
			return s, "", usagef("the variable %q is sensitive, and a server keeps what it is sent. Set it in the server's environment and read it with secret(\"NAME\"), which its operator allows with --allow-env NAME", name)
		}
	}
	s.Commit, s.Branch = gitCommit(ctx, p.Dir)
	home, err := claim(ctx, p.Dir, storePlace{path: "of the server", dir: os.TempDir()})
	if err != nil {
		return s, "", err
	}
	if s.Source = home.Source; strings.HasPrefix(s.Source, "folder /") {
		host, _ := os.Hostname()
		s.Source += " on " + host
	}
	return s, p.Dir, nil
}

// planOnServer shows what the server would do.
func (a *app) planOnServer(ctx context.Context, c *client.Client, s submit.Submission) error {
	var found struct {
		Plan        *runner.Plan         `json:"plan"`
		Diagnostics []hclspec.Diagnostic `json:"diagnostics"`
		Valid       bool                 `json:"valid"`
	}
	if err := c.Post(ctx, "/api/v1/pipelines/plan", "", s, &found); err != nil {
		return a.serverError(err)
	}
	if !found.Valid {
		return &reported{code: pipelines.CodeInvalid, message: "the server refuses the pipeline", diagnostics: found.Diagnostics}
	}
	if found.Plan == nil {
		return nil
	}
	return a.showPlan(found.Plan, true)
}

// follow shows an apply on a server while it runs and ends as a local one does.
// A wish to stop is passed on.
func (a *app) follow(ctx context.Context, c *client.Client, id, dir string) error {
	shown := a.newApplyView()
	watch := observers{&jsonLines{app: a}, &a.junit, shown}
	steady := context.WithoutCancel(ctx)
	c.Patience = 5 * time.Minute // a server may be started anew
	asked := false
	var last web.NoticeList
	var summary *runner.ApplyResult
	for cursor := ""; !last.Done; cursor = last.Cursor {
		if ctx.Err() != nil && !asked {
			asked = true
			if err := c.PostOnce(steady, "/api/v1/applies/"+id+"/stop", struct{}{}, nil); err != nil && pipelines.CodeOf(err) != pipelines.CodeConflict {
				a.log.Warn("the apply cannot be stopped", "error", err)
			}
		}
		wait := 2
		last = web.NoticeList{}
		if err := c.Get(steady, fmt.Sprintf("/api/v1/applies/%s/notices?after=%s&wait=%d", id, url.QueryEscape(cursor), wait), &last); err != nil {
			shown.Close()
			return a.serverError(err)
		}
		for _, raw := range last.Notices {
			var n runner.Notice
			if err := json.Unmarshal(raw, &n); err != nil {
				a.log.Warn("a notice of the server cannot be read", "error", err)
				continue
			}
			if n.Summary != nil {
				summary = n.Summary
			}
			watch.Observe(n)
		}
	}
	shown.Close()
	if last.Apply.LockFile != "" && dir != "" {
		path := filepath.Join(dir, runner.LockFileName)
		if old, err := os.ReadFile(path); err != nil || string(old) != last.Apply.LockFile {
			if err := os.WriteFile(path, []byte(last.Apply.LockFile), 0o644); err != nil {
				a.log.Warn("the lock file cannot be written", "error", err)
			}
		}
	}
	if summary != nil && !a.json {
		if err := a.printText(func(w io.Writer) { view.Result(w, a.style(a.Stdout), *summary, shown.Best()) }); err != nil {
			return err
		}
	}
	return endingError(last.Apply)
}

// reported is an error that another process told, with its diagnostics and code.
type reported struct {
	code        pipelines.Code
	message     string
	diagnostics []hclspec.Diagnostic
}

func (r *reported) Error() string { return r.message }

// Unwrap gives it its code.
func (r *reported) Unwrap() error {
	return &pipelines.Error{Code: r.code, Message: r.message}
}

// endingError is how an apply on a server ended, as an error of this command.
func endingError(s web.Apply) error {
	if s.Status == pipelines.StatusCompleted {
		return nil
	}
	r := &reported{code: s.Code, message: s.Error}
	var told errorReport
	if json.Unmarshal(s.Report, &told) == nil {
		r.diagnostics = told.Diagnostics
	}
	return r
}

// serverError keeps the diagnostics of a refused request.
func (a *app) serverError(err error) error {
	var p *client.Problem
	if !errors.As(err, &p) || len(p.Diagnostics) == 0 {
		return err
	}
	r := &reported{code: p.Code, message: p.Detail}
	if json.Unmarshal(p.Diagnostics, &r.diagnostics) != nil {
		return err
	}
	return r
}

// localDiagnostics turns told diagnostics back, so that they are shown with
// the lines of the files here.
func (a *app) localDiagnostics(r *reported) hcl.Diagnostics {
	var out hcl.Diagnostics
	for _, d := range r.diagnostics {
		h := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: d.Summary, Detail: d.Detail}
		if d.Severity == "warning" {
			h.Severity = hcl.DiagWarning
		}
		if d.Range != nil {
			at := hcl.Range{Filename: filepath.Base(d.Range.Filename), Start: hcl.Pos(d.Range.Start), End: hcl.Pos(d.Range.End)}
			for name := range a.files {
				if filepath.Base(name) == at.Filename {
					at.Filename = name
				}
			}
			h.Subject = &at
		}
		out = append(out, h)
	}
	return out
}

// statusOnServer asks a server where the runs are; with wait it goes on until
// nothing runs, and ends as apply would have.
func (a *app) statusOnServer(ctx context.Context, f serverFlags, pipeline, apply string, wait bool, every time.Duration) error {
	c, err := a.connect(f)
	if err != nil {
		return err
	}
	for {
		one, known, err := serverApply(ctx, c, pipeline, apply)
		if err != nil {
			return err
		}
		var r statusReport
		if err := c.Get(ctx, "/api/v1/status?"+url.Values{"pipeline": {pipeline}}.Encode(), &r); err != nil {
			return err
		}
		r.Time = a.Now().UTC()
		over := r.State != "running" && (!known || one.State == runner.SubmissionEnded)
		if known && apply != "" {
			over = one.State == runner.SubmissionEnded
		}
		if wait && !over {
			if !runner.Sleep(ctx, every) {
				return ctx.Err()
			}
			continue
		}
		if err := a.show(r, func(w io.Writer) { writeStatus(w, a.style(a.Stdout), r) }); err != nil || !wait {
			return err
		}
		switch {
		case known && one.ExitCode != nil:
			return endingStatus(*one.ExitCode)
		case r.State == "failed":
			return exitStatus(exitFailed)
		case r.State == "cancelled", r.State == "interrupted":
			return exitStatus(exitCancelled)
		}
		return nil
	}
}

func endingStatus(code int) error {
	if code == exitDone {
		return nil
	}
	return exitStatus(code)
}

// serverApply is the apply of that id, or the newest of a pipeline.
func serverApply(ctx context.Context, c *client.Client, pipeline, id string) (one web.Apply, known bool, err error) {
	if id != "" {
		err = c.Get(ctx, "/api/v1/applies/"+url.PathEscape(id), &one)
		return one, err == nil, err
	}
	var list web.ApplyList
	q := url.Values{"limit": {"1"}}
	if pipeline != "" {
		q.Set("pipeline", pipeline)
	}
	if err := c.Get(ctx, "/api/v1/applies?"+q.Encode(), &list); err != nil || len(list.Applies) == 0 {
		return one, false, err
	}
	return list.Applies[0], true, nil
}

// cancelOnServer stops a run there.
func (a *app) cancelOnServer(ctx context.Context, f serverFlags, run string) error {
	c, err := a.connect(f)
	if err != nil {
		return err
	}
	var answer struct {
		Status pipelines.Status `json:"status"`
	}
	if err := c.PostOnce(ctx, "/api/v1/training/jobs/"+url.PathEscape(run)+"/stop", struct{}{}, &answer); err != nil {
		return err
	}
	return a.show(answer, func(w io.Writer) { fmt.Fprintf(w, "%s is %s.\n", run, answer.Status) })
}
