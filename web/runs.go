package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Run is one execution of one step.
type Run struct {
	RunID      string            `json:"run_id"`
	JobID      int64             `json:"job_id"`
	Pipeline   string            `json:"pipeline"`
	Address    pipelines.Address `json:"address" doc:"of the step, train.baseline"`
	ApplyID    string            `json:"apply_id"`
	ContentKey string            `json:"content_key"`
	Status     pipelines.Status  `json:"status" enum:"pending,running,completed,failed,cancelled,skipped"`
	Kind       pipelines.Kind    `json:"kind"`
	Adapter    string            `json:"adapter,omitempty"`
	Model      string            `json:"model,omitempty"`
	TaskType   string            `json:"task,omitempty"`
	Parent     string            `json:"parent,omitempty" doc:"run that this one goes on from"`
	Executor   string            `json:"executor,omitempty"`
	Attempts   int               `json:"attempts"`
	Error      string            `json:"error,omitempty"`
	Cause      pipelines.Cause   `json:"cause,omitempty"`
	Metrics    map[string]Number `json:"metrics,omitempty" doc:"of the best checkpoint, once completed"`
	Progress   *Progress         `json:"progress,omitempty"`
	Created    time.Time         `json:"created"`
	Started    *time.Time        `json:"started,omitempty"`
	Ended      *time.Time        `json:"ended,omitempty"`
}

func runOf(r pipelines.Run) Run {
	out := Run{
		RunID: r.ID, JobID: r.JobID, Pipeline: r.Pipeline, Address: r.Address, ApplyID: r.ApplyID, ContentKey: r.ContentKey,
		Status: r.Status, Kind: r.Kind, Adapter: r.Adapter, Model: r.Model, TaskType: r.TaskType, Parent: r.Parent, Executor: r.Executor,
		Attempts: r.Attempts, Error: r.Error, Cause: r.Cause, Progress: progressOf(r.Progress),
		Created: r.Created, Started: when(r.Started), Ended: when(r.Ended),
	}
	if r.Result != nil {
		out.Metrics = numbers(r.Result.Metrics)
	}
	return out
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type runsInput struct {
	Pipeline string `query:"pipeline" maxLength:"200"`
	Address  string `query:"address" maxLength:"1000" doc:"of the step"`
	Status   string `query:"status" enum:"pending,running,completed,failed,cancelled,skipped"`
	Apply    string `query:"apply" maxLength:"200" doc:"id of the apply that made the run"`
	Commit   string `query:"commit" maxLength:"200" doc:"git commit of the sources, in full"`
	Branch   string `query:"branch" maxLength:"500"`
	Limit    int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Offset   int    `query:"offset" minimum:"0" maximum:"100000000"`
}

type runsOutput struct {
	Link string `header:"Link"`
	Body RunList
}

// RunList is one page of runs.
type RunList struct {
	Runs   []Run `json:"runs" nullable:"false"`
	Limit  int   `json:"limit"`
	Offset int   `json:"offset"`
	Next   *int  `json:"next_offset,omitempty" doc:"offset of the next page; absent on the last"`
}

func (s *Server) listRuns(ctx context.Context, in *runsInput) (*runsOutput, error) {
	runs, err := s.cfg.Store.Runs(ctx, runner.RunFilter{
		Pipeline: in.Pipeline, Address: pipelines.Address(in.Address), Status: pipelines.Status(in.Status),
		ApplyID: in.Apply, Commit: in.Commit, Branch: in.Branch, Limit: in.Limit + 1, Offset: in.Offset,
	})
	if err != nil {
		return nil, err
	}
	out := &runsOutput{Body: RunList{Runs: []Run{}, Limit: in.Limit, Offset: in.Offset}}
	if len(runs) > in.Limit {
		runs = runs[:in.Limit]
		next := in.Offset + in.Limit
		out.Body.Next = &next
		q := url.Values{"limit": {strconv.Itoa(in.Limit)}, "offset": {strconv.Itoa(next)}}
		for name, v := range map[string]string{"pipeline": in.Pipeline, "address": in.Address, "status": in.Status, "apply": in.Apply, "commit": in.Commit, "branch": in.Branch} {
			if v != "" {
				q.Set(name, v)
			}
		}
		out.Link = "</api/v1/runs?" + q.Encode() + `>; rel="next"`
	}
	for _, r := range runs {
		out.Body.Runs = append(out.Body.Runs, runOf(r))
	}
	return out, nil
}

// RunPath names a run. (Exported: huma looks into no other embedded types.)
type RunPath struct {
	ID string `path:"id" maxLength:"100" doc:"a run's id, or its job_id"`
}

// find finds a run by its id or integer job id.
func (s *Server) find(ctx context.Context, id string) (pipelines.Run, error) {
	if job, err := strconv.ParseInt(id, 10, 64); err == nil && job > 0 {
		if run, err := s.cfg.Store.RunByJob(ctx, job); pipelines.CodeOf(err) != pipelines.CodeNotFound {
			return run, err
		}
	}
	return s.cfg.Store.Run(ctx, id)
}

type runOutput struct{ Body RunDetail }

// RunDetail is a run with its attempts.
type RunDetail struct {
	Run
	State       runner.RunState              `json:"state" enum:"live,interrupted,unknown,ended" doc:"interrupted: not ended, and nothing works on it"`
	LastMetrics map[string]Number            `json:"last_metrics,omitempty" doc:"of the last epoch, once completed"`
	PerClass    map[string]map[string]Number `json:"per_class,omitempty"`
	Requested   any                          `json:"requested,omitempty" doc:"what the content key was made of: the config as planned, the data, the model"`
	AttemptList []Attempt                    `json:"attempt_list" nullable:"false"`
}

// Attempt is one process of a run.
type Attempt struct {
	Number   int              `json:"number"`
	Status   pipelines.Status `json:"status"`
	Cause    pipelines.Cause  `json:"cause,omitempty"`
	Error    string           `json:"error,omitempty"`
	ExitCode int              `json:"exit_code"`
	Executor string           `json:"executor"`
	Started  *time.Time       `json:"started,omitempty"`
	Ended    *time.Time       `json:"ended,omitempty"`
	Applied  *Applied         `json:"applied,omitempty" doc:"the config in force, read back from what was built"`
}

// Applied is the config that a step really built.
type Applied struct {
	Values      map[string]any    `json:"values"`
	Attributes  map[string]any    `json:"attributes,omitempty"`
	Unsupported map[string]string `json:"unsupported,omitempty"`
	Proof       string            `json:"proof"`
	Environment map[string]string `json:"environment,omitempty"`
}

func (s *Server) run(ctx context.Context, in *RunPath) (*runOutput, error) {
	run, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	attempts, err := s.cfg.Store.Attempts(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	d := RunDetail{Run: runOf(run), State: s.state(ctx, run), AttemptList: []Attempt{}}
	if len(run.Inputs) > 0 {
		if err := json.Unmarshal(run.Inputs, &d.Requested); err != nil {
			return nil, fmt.Errorf("inputs of run %s: %w", run.ID, err)
		}
	}
	if run.Result != nil {
		d.LastMetrics = numbers(run.Result.LastMetrics)
		d.PerClass = table(run.Result.PerClass)
	}
	for _, a := range attempts {
		v := Attempt{
			Number: a.Number, Status: a.Status, Cause: a.Cause, Error: a.Error, ExitCode: a.ExitCode, Executor: a.Executor,
			Started: when(a.Started), Ended: when(a.Ended),
		}
		if c := a.Applied; c != nil {
			v.Applied = &Applied{Values: c.Values, Attributes: c.Attributes, Unsupported: c.Unsupported, Proof: c.Proof, Environment: c.Environment}
			if v.Applied.Values == nil {
				v.Applied.Values = map[string]any{}
			}
		}
		d.AttemptList = append(d.AttemptList, v)
	}
	return &runOutput{Body: d}, nil
}

// state is what is true of a run now; a process that cannot be looked at is unknown.
func (s *Server) state(ctx context.Context, run pipelines.Run) runner.RunState {
	if run.Status.Ended() {
		return runner.RunEnded
	}
	state, err := s.cfg.Control.State(ctx, run)
	if err != nil {
		return runner.RunUnknown
	}
	return state
}

func table(m map[string]map[string]float64) map[string]map[string]Number {
	if m == nil {
		return nil
	}
	out := make(map[string]map[string]Number, len(m))
	for k, v := range m {
		out[k] = numbers(v)
	}
	return out
}
