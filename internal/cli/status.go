package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// statusReport is `runner status --json`: one poll for CI.
type statusReport struct {
	V     int            `json:"v"`
	Time  time.Time      `json:"time"`
	State string         `json:"state,omitempty"` // of all steps, as a server tells it
	Total int            `json:"total"`
	Count map[string]int `json:"count"` // runs by status
	Runs  []runStatus    `json:"runs"`
}

// runStatus is where one run is.
type runStatus struct {
	RunID    string              `json:"run_id"`
	JobID    int64               `json:"job_id"`
	Pipeline string              `json:"pipeline"`
	Address  pipelines.Address   `json:"address"`
	Kind     pipelines.Kind      `json:"kind"`
	Model    string              `json:"model,omitempty"`
	Status   pipelines.Status    `json:"status"`
	State    runner.RunState     `json:"state"` // live, interrupted, unknown, ended
	Attempt  int                 `json:"attempt"`
	Progress *pipelines.Progress `json:"progress,omitempty"`
	ETA      float64             `json:"eta_seconds,omitempty"`
	Best     map[string]float64  `json:"best,omitempty"` // metrics of the best checkpoint so far
	Error    string              `json:"error,omitempty"`
	Cause    pipelines.Cause     `json:"cause,omitempty"`
	Started  time.Time           `json:"started,omitzero"`
	Ended    time.Time           `json:"ended,omitzero"`
	Dir      string              `json:"dir"`
}

func newStatusCmd(a *app) *cobra.Command {
	var flags storeFlags
	var pipeline string
	var all, wait bool
	var server serverFlags
	var apply string
	var every time.Duration
	c := describe(&cobra.Command{
		Use:   "status [PATH]",
		Short: "Show where the runs are: state, progress, best metrics",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if server.server != "" {
				return a.statusOnServer(c.Context(), server, pipeline, apply, wait, every)
			}
			if wait || apply != "" {
				return usagef("--wait and --apply belong to --server")
			}
			store, place, err := a.openExisting(c.Context(), a.pipelinePath(args), flags)
			if err != nil {
				return err
			}
			defer store.Close()
			r, err := a.status(c.Context(), store, place, pipeline, all)
			if err != nil {
				return err
			}
			return a.show(r, func(w io.Writer) { writeStatus(w, a.style(a.Stdout), r) })
		},
	}, `
Shows the newest run of every step (--all: every run): whether it goes on, how
far it is, when it will end, and the metrics of its best checkpoint. A run that
nothing works on any more is "interrupted": resume or apply go on with it.

With --server it asks a runner serve; --wait goes on asking until nothing runs
there any more (or the --apply, or the newest one of --pipeline, has ended) and
exits as apply would have.`, exitDone, exitError, exitFailed, exitCheck, exitCancelled, exitTimeout)
	server.register(c, "ask")
	c.Flags().StringVar(&apply, "apply", "", "with --server: the apply of that `ID`")
	c.Flags().BoolVar(&wait, "wait", false, "with --server: wait for the end")
	c.Flags().DurationVar(&every, "every", 2*time.Second, "with --wait: ask every `DURATION`")
	flags.register(c)
	c.Flags().StringVar(&pipeline, "pipeline", "", "only runs of the pipeline `NAME`")
	c.Flags().BoolVar(&all, "all", false, "every run, not only the newest of each step")
	return c
}

func (a *app) status(ctx context.Context, store runner.Store, place storePlace, pipeline string, all bool) (statusReport, error) {
	r := statusReport{V: 1, Time: a.Now().UTC(), Count: map[string]int{}, Runs: []runStatus{}}
	standings, err := store.Standings(ctx, runner.RunFilter{Pipeline: pipeline, Newest: !all})
	if err != nil {
		return r, err
	}
	states := a.watcher(store, place).States(ctx, standings)
	for _, st := range standings {
		r.Runs = append(r.Runs, runStatusOf(st, states[st.Run.ID]))
		r.Count[string(st.Run.Status)]++
	}
	r.Total = len(r.Runs)
	return r, nil
}

func runStatusOf(st runner.Standing, state runner.RunState) runStatus {
	run := st.Run
	s := runStatus{
		RunID: run.ID, JobID: run.JobID, Pipeline: run.Pipeline, Address: run.Address, Kind: run.Kind, Model: run.Model,
		Status: run.Status, State: state, Attempt: run.Attempts, Progress: run.Progress, Best: st.Metrics(), Error: run.Error, Cause: run.Cause,
		Started: run.Started, Ended: run.Ended, Dir: run.Dir,
	}
	if run.Progress != nil && state == runner.RunLive {
		s.ETA = run.Progress.ETASeconds
	}
	return s
}

func writeStatus(w io.Writer, st view.Style, r statusReport) {
	if len(r.Runs) == 0 {
		fmt.Fprintln(w, "No runs yet.")
		return
	}
	rows := [][]string{{"STEP", "JOB", "STATUS", "PROGRESS", "ETA", "BEST", "TOOK", "RUN"}}
	for _, s := range r.Runs {
		status := string(s.Status)
		if s.State == runner.RunInterrupted {
			status = "interrupted"
		}
		progress, eta, took := "-", "-", "-"
		if p := s.Progress; p != nil {
			progress = fmt.Sprintf("epoch %d/%d", p.Epoch, p.Epochs)
		}
		if s.ETA > 0 {
			eta = view.Duration(time.Duration(s.ETA * float64(time.Second)))
		}
		if !s.Ended.IsZero() && !s.Started.IsZero() {
			took = view.Duration(s.Ended.Sub(s.Started))
		} else if !s.Started.IsZero() && s.State == runner.RunLive {
			took = view.Duration(r.Time.Sub(s.Started))
		}
		rows = append(rows, []string{string(s.Address), fmt.Sprint(s.JobID), status, progress, eta, bestText(s.Best), took, s.RunID})
	}
	if slices.ContainsFunc(r.Runs, func(s runStatus) bool { return s.Pipeline != r.Runs[0].Pipeline }) { // a shared store
		rows[0] = append([]string{"PIPELINE"}, rows[0]...)
		for i, s := range r.Runs {
			rows[i+1] = append([]string{s.Pipeline}, rows[i+1]...)
		}
	}
	view.Table(w, st, "", rows)
	for _, s := range r.Runs {
		if s.Error != "" {
			fmt.Fprintf(w, "\n%s %s\n", st.Bold(string(s.Address)+":"), s.Error)
		}
	}
}

// bestText shows the metrics that matter most: accuracy where there is one, else the first two.
func bestText(m map[string]float64) string {
	if v, ok := m["accuracy"]; ok {
		return "accuracy " + view.Metric(v)
	}
	text := ""
	for i, name := range sortedKeys(m) {
		if i == 2 {
			break
		}
		if i > 0 {
			text += ", "
		}
		text += name + " " + view.Metric(m[name])
	}
	if text == "" {
		return "-"
	}
	return text
}
