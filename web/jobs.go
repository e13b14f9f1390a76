package web

import (
	"context"
	"net/http"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

type stopInput struct {
	RunPath
	Body *struct{} `required:"true" doc:"{}"`
}

type stopOutput struct {
	Status int
	Body   Run
}

// stopJob asks a run to write a checkpoint and end: 200 once it has ended, 202
// while it is still at it.
func (s *Server) stopJob(ctx context.Context, in *stopInput) (*stopOutput, error) {
	run, err := s.find(ctx, in.ID)
	if pipelines.CodeOf(err) == pipelines.CodeNotFound {
		return s.stopFiled(ctx, in.ID, err)
	}
	if err != nil {
		return nil, err
	}
	if n, serr := s.submission(ctx, run.ApplyID); serr == nil && n.Kind == runner.SubmissionTraining && n.State != runner.SubmissionEnded {
		// Whoever works on it would go on otherwise: its process hears of the wish.
		if _, err := s.cfg.Queue.AskCancel(ctx, n.ID, s.cfg.Now()); err != nil {
			return nil, err
		}
	}
	if run.Status.Ended() {
		return nil, pipelines.Errorf(pipelines.CodeConflict, "run %s has ended already (%s)", run.ID, run.Status)
	}
	done, err := s.cancel(run)
	if err != nil {
		return nil, err
	}
	status := http.StatusAccepted
	select {
	case err := <-done:
		if err != nil {
			return nil, err
		}
		status = http.StatusOK
	case <-time.After(s.cfg.StopWait):
	case <-ctx.Done():
	}
	if run, err = s.cfg.Store.Run(ctx, run.ID); err != nil {
		return nil, err
	}
	return &stopOutput{Status: status, Body: runOf(run)}, nil
}

// stopFiled stops a training that has no run yet.
func (s *Server) stopFiled(ctx context.Context, id string, missing error) (*stopOutput, error) {
	n, err := s.submission(ctx, id)
	if pipelines.CodeOf(err) == pipelines.CodeNotFound {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	out, err := s.stopSubmission(ctx, n)
	if err != nil {
		return nil, err
	}
	a := out.Body
	return &stopOutput{Status: out.Status, Body: Run{RunID: a.ApplyID, JobID: a.JobID, Pipeline: a.Pipeline, ApplyID: a.ApplyID, Status: a.Status,
		Kind: pipelines.KindTrain, Error: a.Error, Created: a.Created, Started: a.Started, Ended: a.Ended}}, nil
}

// cancel stops a run behind the request, which need not wait for its end. For
// a run that is being stopped already it returns a channel that stays silent.
func (s *Server) cancel(run pipelines.Run) (<-chan error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop.Err() != nil {
		return nil, pipelines.Errorf(pipelines.CodeUnavailable, "the server is stopping")
	}
	done := make(chan error, 1)
	if s.stopping[run.ID] {
		return done, nil
	}
	s.stopping[run.ID] = true
	s.jobs.Go(func() {
		err := s.cfg.Control.Cancel(s.stop, run)
		s.mu.Lock()
		delete(s.stopping, run.ID)
		s.mu.Unlock()
		if err != nil {
			s.cfg.Log.Error("a run could not be stopped", "run", run.ID, "error", err)
		}
		done <- err
	})
	return done, nil
}
