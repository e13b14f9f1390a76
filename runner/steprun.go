package runner

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// archivePatience is how long an apply waits at a run's end for an archive
// that is away.
const archivePatience = 15 * time.Minute

// stepRun carries out one decided step.
type stepRun struct {
	a        *Applier
	dec      *decision
	exec     Executor
	run      pipelines.Run
	pipeline string
	applyID  string
	observe  func(Notice)
	mirror   *mirror // of the run, into the archive
	jobID    int64   // reserved for the run; 0 = the store gives one
	// adoptedLive: the attempt that is continued first was not known to have ended.
	adoptedLive bool
}

func (s *stepRun) tell(n Notice) {
	n.Address, n.RunID = s.dec.Address, s.run.ID
	s.observe(n)
	if n.Event != nil && n.Event.Checkpoint != nil {
		s.mirror.wake()
	}
}

// do runs the step to its end, through its attempts.
func (s *stepRun) do(ctx context.Context) StepOutcome {
	end, err := s.attempts(ctx)
	if err != nil { // it could not be started, or not be followed
		end.status, end.cause, end.err = pipelines.StatusFailed, causeOf(err), err.Error()
		if ctx.Err() != nil || pipelines.CodeOf(err) == pipelines.CodeCancelled {
			end.status, end.cause = pipelines.StatusCancelled, ""
		}
		if s.run.ID != "" && !end.lost {
			if err := s.close(ctx, end, nil); err != nil {
				end.err += "; and that could not be stored: " + err.Error()
			}
		}
	}
	s.mirror.finish(ctx, archivePatience)
	o := outcome(s.dec)
	o.Status, o.Cause, o.Error = end.status, end.cause, end.err
	o.RunID, o.JobID, o.Attempts, o.Dir, o.Result = s.run.ID, s.run.JobID, s.run.Attempts, s.run.Dir, s.run.Result
	return o
}

func outcome(dec *decision) StepOutcome {
	return StepOutcome{Address: dec.step.Address, Kind: dec.step.Kind, Action: dec.Action, Range: dec.step.Range}
}

// attempts continues or creates the run and makes attempts until one
// completes or none is left.
func (s *stepRun) attempts(ctx context.Context) (ending, error) {
	n, old, err := s.open(ctx)
	if err != nil {
		return ending{}, err
	}
	s.mirror = s.a.Archive.mirror(ctx, s.a.Store, s.run.ID, s.tell)
	delay := s.a.retryDelay()
	made := 0 // attempts that this apply answers for
	for {
		end, err := s.attempt(ctx, n, old)
		if err != nil {
			return end, err
		}
		// It ended while nobody followed it, or was ending when it was adopted: continue it.
		over := old != nil && (!s.adoptedLive || end.unseen)
		if !over {
			made++
		}
		switch {
		case end.status == pipelines.StatusCompleted || ctx.Err() != nil:
			return end, s.close(ctx, end, end.result)
		case over:
		case end.status == pipelines.StatusFailed && s.retries(end.cause, made):
			s.tell(Notice{Type: NoticeStepRetry, Attempt: n, Cause: end.cause, Message: end.err})
			if !Sleep(ctx, delay) {
				end.status, end.cause, end.err = pipelines.StatusCancelled, "", "cancelled"
				return end, s.close(ctx, end, nil)
			}
			delay = min(2*delay, 30*time.Second)
		default:
			return end, s.close(ctx, end, nil)
		}
		n, old = n+1, nil
	}
}

// open finds the run to continue, with the attempt that has not ended if
// there is one, or files a new run.
func (s *stepRun) open(ctx context.Context) (n int, old *pipelines.Attempt, err error) {
	if s.dec.Start != nil && s.dec.Start.RunID != "" {
		if err := s.bring(ctx, s.dec.Start.RunID, s.dec.Start.Path); err != nil {
			return 0, nil, err
		}
	}
	if s.dec.Action != ActionResume {
		return 1, nil, s.create(ctx)
	}
	s.run = *s.dec.run
	if err := s.a.Archive.restoreRun(ctx, s.run); err != nil {
		return 0, nil, err
	}
	attempts, err := s.a.Store.Attempts(ctx, s.run.ID)
	if err != nil {
		return 0, nil, err
	}
	n = nextAttempt(attempts)
	// One that completed before its run was filed as completed is read again.
	i := slices.IndexFunc(attempts, func(a pipelines.Attempt) bool {
		return a.Number == n || a.Number == n-1 && a.Status == pipelines.StatusCompleted
	})
	if i < 0 {
		return n, nil, nil
	}
	live, err := s.exec.Probe(ctx, attempts[i])
	s.adoptedLive = err == nil && live != Ended
	return attempts[i].Number, &attempts[i], nil
}

// bring restores a checkpoint of another run, if it is not here.
func (s *stepRun) bring(ctx context.Context, runID, path string) error {
	rec, ok := s.a.Archive.archived(runID)
	if !ok || exists(path) {
		return nil
	}
	run, err := s.a.Store.Run(ctx, runID)
	if err != nil {
		return err
	}
	return s.a.Archive.restorePaths(ctx, rec, run.Dir, []string{path})
}

func (s *stepRun) create(ctx context.Context) error {
	now := s.a.now()
	id := NewID(now)
	dir, err := filepath.Abs(filepath.Join(s.a.Dir, "runs", id))
	if err != nil {
		return err
	}
	job := s.jobID
	if job != 0 {
		if _, err := s.a.Store.RunByJob(ctx, job); err == nil {
			job = 0 // an earlier run has it: what it was made of has changed since
		} else if pipelines.CodeOf(err) != pipelines.CodeNotFound {
			return err
		}
	}
	s.run, err = s.a.Store.CreateRun(ctx, pipelines.Run{
		ID: id, JobID: job, Pipeline: s.pipeline, Address: s.dec.Address, ApplyID: s.applyID, ContentKey: s.dec.ContentKey,
		Status: pipelines.StatusPending, Kind: s.dec.Kind, Adapter: s.dec.Adapter, Model: s.dec.Model, TaskType: s.dec.TaskType,
		Parent: s.dec.parent, Inputs: s.dec.canonical, Dir: dir, Executor: string(s.dec.Executor), Created: now,
	})
	return err
}

// retries says whether a failed attempt is followed by another. Without
// causes named, what the step itself is not to blame for is tried again.
func (s *stepRun) retries(cause pipelines.Cause, made int) bool {
	r := s.dec.step.Retry
	on := r.On
	if len(on) == 0 {
		on = []pipelines.Cause{pipelines.CausePreempted, pipelines.CauseInfrastructure}
	}
	return made < r.Attempts && slices.Contains(on, cause)
}

// close files how the run ended.
func (s *stepRun) close(ctx context.Context, end ending, result *pipelines.StepResult) error {
	s.run.Status, s.run.Cause, s.run.Error, s.run.Ended = end.status, end.cause, end.err, s.a.now()
	if end.status == pipelines.StatusCompleted {
		s.run.Result = resultOf(s.run.ID, result)
	}
	return s.a.Store.UpdateRun(context.WithoutCancel(ctx), s.run)
}

// resultOf is what others may refer to, from what the step reported.
func resultOf(runID string, r *pipelines.StepResult) *pipelines.Result {
	out := &pipelines.Result{RunID: runID, Metrics: r.Metrics, LastMetrics: r.LastMetrics, PerClass: r.PerClass,
		Best: r.Best, Latest: r.Latest, Artifacts: map[string]pipelines.Artifact{}, Outputs: r.Outputs}
	for _, c := range []*pipelines.Checkpoint{out.Best, out.Latest} {
		if c != nil {
			c.RunID = runID
		}
	}
	for _, a := range r.Artifacts {
		out.Artifacts[a.Name] = a
	}
	return out
}

// causeOf classifies an error that kept an attempt from running.
func causeOf(err error) pipelines.Cause {
	switch pipelines.CodeOf(err) {
	case pipelines.CodeInvalid:
		return pipelines.CauseConfig
	case pipelines.CodeNotFound, pipelines.CodeStale, pipelines.CodeCheckFailed:
		return pipelines.CauseData
	case pipelines.CodeTimeout:
		return pipelines.CauseTimeout
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return pipelines.CauseTimeout
	}
	return pipelines.CauseInfrastructure
}
