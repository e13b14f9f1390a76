package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/trainwright/trainwright/internal/report"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// reportName is a run's report in its folder.
const reportName = "report.html"

// reporter writes the report of every training and evaluation that ends. A
// report that cannot be written is said and harms nothing.
type reporter struct {
	app     *app
	ctx     context.Context
	session *session
	plan    *runner.Plan

	wait    sync.WaitGroup
	mu      sync.Mutex
	written []string
}

// Observe writes the report when a run has ended.
func (r *reporter) Observe(n runner.Notice) {
	if n.Type != runner.NoticeStepEnded || n.RunID == "" {
		return
	}
	r.wait.Go(func() { // pictures take a moment, and other steps go on
		path, err := r.write(n.RunID)
		if err != nil {
			r.app.log.Error("writing the report", "run", n.RunID, "error", err)
			return
		}
		if path != "" {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.written = append(r.written, path)
		}
	})
}

func (r *reporter) write(runID string) (string, error) {
	run, err := r.session.store.Run(r.ctx, runID)
	if err != nil {
		return "", err
	}
	if run.Kind != pipelines.KindTrain && run.Kind != pipelines.KindEvaluate {
		return "", nil
	}
	d, err := reportData(r.ctx, r.session.store, run)
	if err != nil {
		return "", err
	}
	d.Spec = r.spec(run.Address)
	if step, ok := r.plan.Step(run.Address); ok {
		for _, ds := range r.plan.Datasets {
			if ds.Name == step.Dataset {
				d.Dataset = &ds.Report
			}
		}
	}
	d.Version, d.Now = Version, r.app.Now()
	path := filepath.Join(run.Dir, reportName)
	return path, report.Write(path, d)
}

// spec resolves a step with the results known now; nil when it cannot be.
func (r *reporter) spec(address pipelines.Address) *pipelines.Spec {
	p := r.plan.Source()
	if p == nil {
		return nil
	}
	results, err := lastResults(r.ctx, r.session.store, p)
	if err != nil {
		return nil
	}
	for _, step := range p.Steps {
		if step.Address == address && step.Resolve != nil {
			if spec, err := step.Resolve(results); err == nil {
				return &spec
			}
		}
	}
	return nil
}

// reportData reads what the store knows of a run.
func reportData(ctx context.Context, store runner.Store, run pipelines.Run) (report.Data, error) {
	d := report.Data{Run: run}
	var err error
	if d.Attempts, err = store.Attempts(ctx, run.ID); err != nil {
		return d, err
	}
	if d.Metrics, err = store.Metrics(ctx, runner.MetricFilter{RunID: run.ID, MaxPoints: 2000}); err != nil {
		return d, err
	}
	if d.Validations, err = store.Validations(ctx, run.ID); err != nil {
		return d, err
	}
	if d.Checkpoints, err = store.Checkpoints(ctx, run.ID); err != nil {
		return d, err
	}
	if d.Artifacts, err = store.Artifacts(ctx, run.ID); err != nil {
		return d, err
	}
	d.Messages, err = store.Messages(ctx, run.ID, 200)
	return d, err
}

// list says where the reports are, once all are written.
func (r *reporter) list(w io.Writer) {
	slices.Sort(r.written)
	for _, path := range r.written {
		fmt.Fprintf(w, "Report: %s\n", nearPath(path))
	}
}

// nearPath writes a path from the current folder where it lies below it.
func nearPath(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(here, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}
