package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// cancelMark is a file that `cancel` leaves in an attempt's folder, so that
// whoever follows the attempt knows that its end was asked for.
const cancelMark = "cancel"

// ending is how an attempt ended.
type ending struct {
	status pipelines.Status
	cause  pipelines.Cause
	err    string
	code   int
	result *pipelines.StepResult
	// unseen: it ended without a result and nobody saw how (Exit.Unseen).
	unseen bool
	// lost: the attempt could not be followed to its end and may live on. Its
	// run stays open, so that the next apply adopts it.
	lost bool
}

// attempt starts or adopts the n-th attempt of a run, follows it to its end
// and files how it ended. An error means that it could not be started, or,
// with lost, that it could not be followed.
func (s *stepRun) attempt(ctx context.Context, n int, old *pipelines.Attempt) (ending, error) {
	task, err := s.prepare(ctx, n, old != nil)
	if err != nil {
		return ending{}, err
	}
	job, err := s.job(ctx, task)
	if err != nil {
		return ending{}, err
	}
	job.Tell = func(text string) { s.tell(Notice{Type: NoticeStepWaiting, Attempt: n, Message: text}) }
	if err := s.noteStart(ctx, n); err != nil {
		return ending{}, err
	}
	kind := NoticeStepStarted
	at := pipelines.Attempt{RunID: s.run.ID, Number: n, Status: pipelines.StatusRunning, Dir: task.AttemptDir,
		Executor: string(s.dec.Executor), Started: s.a.now()}
	if old != nil {
		at, kind = *old, NoticeStepAdopted
		if err := s.awaitKnown(ctx, at); err != nil {
			return ending{lost: true}, err
		}
	} else if err := s.a.Store.CreateAttempt(ctx, at); err != nil {
		return ending{}, err
	}
	s.tell(Notice{Type: kind, JobID: s.run.JobID, Attempt: n, Dir: s.run.Dir})
	c, exit, err := s.follow(ctx, job)
	if err != nil {
		if live, perr := s.exec.Probe(context.WithoutCancel(ctx), at); c.broken || perr != nil || live != Ended {
			return ending{lost: true}, fmt.Errorf("attempt %d of run %s could not be followed to its end; apply again to go on following it: %w", n, s.run.ID, err)
		}
		exit = Exit{Code: -1, Cause: pipelines.CauseInfrastructure, Message: err.Error()}
	}
	end := s.classify(ctx, task, c, exit)
	end.unseen = exit.Unseen && c.failed == nil && end.status == pipelines.StatusFailed
	at.Status, at.Cause, at.Error, at.ExitCode = end.status, end.cause, end.err, end.code
	at.Applied, at.Ended = c.applied, s.a.now()
	if sum := c.pretrained(); sum != "" {
		s.dec.pretrained = "sha256:" + sum
	}
	if err := s.noteImages(exit.Images); err != nil {
		return ending{}, err
	}
	if c.last != nil {
		s.run.Progress = c.last
	}
	if err := s.a.Store.UpdateAttempt(context.WithoutCancel(ctx), at); err != nil {
		end.lost = true
		return end, err
	}
	return end, nil
}

// noteImages keeps which container images were used, for the lock file. That
// of a step block is part of its content key, which was planned without the
// digest if the image was not pinned yet.
func (s *stepRun) noteImages(used map[string]string) error {
	if len(used) == 0 {
		return nil
	}
	s.dec.images = used
	c := s.dec.spec.Command
	if c == nil || used[c.Image] == "" {
		return nil
	}
	in := Inputs{}
	if err := json.Unmarshal(s.dec.canonical, &in); err != nil {
		return fmt.Errorf("inputs of %s: %w", s.dec.Address, err)
	}
	in["image"] = used[c.Image]
	canonical, err := in.Canonical()
	if err != nil {
		return err
	}
	s.run.Inputs, s.run.ContentKey = canonical, ContentKey(canonical)
	return nil
}

// prepare writes the attempt's folder; one that an earlier apply wrote
// completely stays as it is, because a step may be reading it.
func (s *stepRun) prepare(ctx context.Context, n int, old bool) (pipelines.Task, error) {
	task := makeTask(s.dec, s.run, n)
	path := filepath.Join(task.AttemptDir, spool.TaskFile)
	if old {
		if t, err := spool.ReadTask(path); err == nil {
			return t, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return task, err
		}
	}
	if n > 1 {
		continueTask(&task)
	}
	_, err := s.a.writeTask(ctx, s.dec, task)
	return task, err
}

// job is the attempt as an executor takes it.
func (s *stepRun) job(ctx context.Context, task pipelines.Task) (Job, error) {
	job := Job{Task: task, Dataset: s.dec.written, Images: s.dec.images, Env: s.dec.spec.Env, Secrets: s.dec.spec.SecretEnv, Timeout: s.dec.step.Timeout, Grace: s.a.grace()}
	if s.dec.adapter == nil {
		return job, nil
	}
	info := s.dec.adapter.Info()
	job.Adapter = &info
	path := filepath.Join(task.AttemptDir, spool.TaskFile)
	var err error
	if c, ok := s.dec.adapter.(adapters.Containerized); ok && isContainer(s.dec.exec) {
		var recipe adapters.Container
		recipe, err = c.Container(path)
		job.Container, job.Command = &recipe, recipe.Command
		return job, err
	}
	job.Command, err = s.dec.adapter.Command(ctx, path)
	return job, err
}

// awaitKnown waits while an executor cannot tell whether an attempt lives:
// what is unknown is never treated as ended.
func (s *stepRun) awaitKnown(ctx context.Context, at pipelines.Attempt) error {
	for told := false; ; told = true {
		live, err := s.exec.Probe(ctx, at)
		if err == nil && live != Unknown {
			return nil
		}
		if !told {
			s.tell(Notice{Type: NoticeStepWaiting, Attempt: at.Number,
				Message: fmt.Sprintf("it cannot be told whether attempt %d still lives%s; waiting until it can", at.Number, because(err))})
		}
		if !Sleep(ctx, s.a.poll()) {
			return pipelines.Errorf(pipelines.CodeCancelled, "cancelled while attempt %d of run %s was in an unknown state", at.Number, s.run.ID)
		}
	}
}

// follow runs or adopts the job. When ctx ends, or the proof fails, the step
// is asked to stop, and followed until it has.
func (s *stepRun) follow(ctx context.Context, job Job) (*collector, Exit, error) {
	steady, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	refused := make(chan struct{})
	c := &collector{store: s.a.Store, tell: s.tell, task: job.Task, spec: s.dec.spec, poll: s.a.poll(),
		asked: ctx, refuse: func() { close(refused) }}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-steady.Done():
			return
		case <-ctx.Done():
		case <-refused:
		}
		s.stop(steady, job)
	}()
	exit, err := s.exec.Run(steady, job, c.sink)
	stop()
	<-watched
	return c, exit, err
}

// stop asks a step to stop until ctx ends, which is when it has: one that was
// just about to start when it was first asked is asked again.
func (s *stepRun) stop(ctx context.Context, job Job) {
	for told := false; ctx.Err() == nil; Sleep(ctx, s.a.poll()) {
		if err := s.exec.Cancel(ctx, job); err != nil && !told && ctx.Err() == nil {
			told = true
			p := warning(s.dec.step.Range, "Step cannot be stopped", "%s: %s. It is asked again.", s.dec.Address, err)
			s.tell(Notice{Type: NoticeWarning, Attempt: job.Task.Attempt, Problem: &p})
		}
	}
}

// classify decides how an attempt ended, from what the step said, what the
// executor saw and what was asked for.
func (s *stepRun) classify(ctx context.Context, task pipelines.Task, c *collector, exit Exit) ending {
	end := ending{status: pipelines.StatusFailed, cause: exit.Cause, err: exit.Message, code: exit.Code, result: c.result}
	_, marked := os.Stat(filepath.Join(task.AttemptDir, cancelMark))
	r := c.result
	switch {
	case c.failed != nil:
		end.cause, end.err = pipelines.CauseConfig, c.failed.Error()
	case r != nil && r.State == pipelines.StatusCompleted:
		end.status, end.cause, end.err = pipelines.StatusCompleted, "", ""
	case ctx.Err() != nil || marked == nil:
		end.status, end.cause, end.err = pipelines.StatusCancelled, "", "cancelled"
	case exit.Cause == "" && r != nil && r.State == pipelines.StatusCancelled:
		// It was stopped, and neither by this apply nor by `cancel`.
		end.cause, end.err = pipelines.CausePreempted, "the step was stopped from outside and wrote what it had"
	case r != nil && r.State == pipelines.StatusFailed:
		if end.cause == "" {
			end.cause = r.Cause
		}
		if r.Error != "" {
			end.err = r.Error
		}
	case end.err == "" && c.state != nil && c.state.Error != "":
		end.err = c.state.Error
	}
	if end.status != pipelines.StatusFailed {
		return end
	}
	if end.cause == "" && exit.Signal != "" {
		end.cause = pipelines.CauseInfrastructure
	}
	if end.cause == "" {
		end.cause = pipelines.CauseUser
	}
	if end.err == "" {
		end.err = fmt.Sprintf("the step ended without a result (exit status %d%s); its log is %s",
			exit.Code, signalWords(exit.Signal), filepath.Join(task.AttemptDir, spool.LogFile))
	}
	return end
}

func signalWords(signal string) string {
	if signal == "" {
		return ""
	}
	return ", signal " + signal
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

// noteStart files that the run runs.
func (s *stepRun) noteStart(ctx context.Context, n int) error {
	s.run.Status, s.run.Attempts, s.run.Error, s.run.Cause = pipelines.StatusRunning, max(n, s.run.Attempts), "", ""
	s.run.Ended = time.Time{}
	if s.run.Started.IsZero() {
		s.run.Started = s.a.now()
	}
	return s.a.Store.UpdateRun(ctx, s.run)
}
