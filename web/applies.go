package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/web/submit"
)

// Apply is an apply that was handed to this server.
type Apply struct {
	ApplyID  string                 `json:"apply_id"`
	JobID    int64                  `json:"job_id,omitempty" doc:"of a training job"`
	RunID    string                 `json:"run_id,omitempty" doc:"of a training job, once there is a run"`
	Kind     runner.SubmissionKind  `json:"kind" enum:"apply,training"`
	Pipeline string                 `json:"pipeline"`
	Priority int                    `json:"priority"`
	State    runner.SubmissionState `json:"state" enum:"created,queued,running,ended" doc:"created: waits for its start"`
	Status   pipelines.Status       `json:"status" enum:"pending,running,completed,failed,cancelled,skipped"`
	Stopping bool                   `json:"stopping,omitempty" doc:"it was asked to stop"`
	Takes    int                    `json:"takes" doc:"processes that worked on it, one after the other"`
	Created  time.Time              `json:"created"`
	Queued   *time.Time             `json:"queued,omitempty"`
	Started  *time.Time             `json:"started,omitempty"`
	Ended    *time.Time             `json:"ended,omitempty"`
	ExitCode *int                   `json:"exit_code,omitempty" doc:"once ended: as the command apply exits"`
	Code     pipelines.Code         `json:"code,omitempty" doc:"of the error"`
	Error    string                 `json:"error,omitempty"`
	Report   json.RawMessage        `json:"report,omitempty" doc:"the error with its diagnostics, as --json has it"`
	LockFile string                 `json:"lock_file,omitempty" doc:"the text of the lock file, once ended"`
}

func applyOf(s runner.Submission) Apply {
	out := Apply{
		ApplyID: s.ID, JobID: s.JobID, RunID: s.RunID, Kind: s.Kind, Pipeline: s.Pipeline, Priority: s.Priority, State: s.State, Status: s.Status,
		Stopping: s.Cancel && s.State == runner.SubmissionRunning, Takes: s.Takes,
		Created: s.Created, Queued: when(s.Queued), Started: when(s.Started), Ended: when(s.Ended),
	}
	if e := s.Ending; e != nil {
		out.ExitCode, out.Code, out.Error, out.Report, out.LockFile = &e.ExitCode, e.Code, e.Error, e.Report, string(e.Lock)
	}
	return out
}

// IdempotencyKey makes a repeated request the same one. (Exported for huma.)
type IdempotencyKey struct {
	Key string `header:"Idempotency-Key" maxLength:"200" doc:"a request that is sent again with its key is answered as the first was, and does nothing"`
}

type applyInput struct {
	IdempotencyKey
	Body struct {
		submit.Submission
		Priority int `json:"priority,omitempty" minimum:"-1000" maximum:"1000" doc:"higher ones first"`
	}
}

type applyOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     Apply
}

// applyPipeline queues a pipeline that is valid: 202 and where to look.
func (s *Server) applyPipeline(ctx context.Context, in *applyInput) (*applyOutput, error) {
	sub := in.Body.Submission
	found, err := s.checked(sub)
	if err != nil {
		return nil, err
	}
	return s.enqueue(ctx, runner.Submission{Kind: runner.SubmissionApply, Pipeline: found.Pipeline, Priority: in.Body.Priority, State: runner.SubmissionQueued}, sub, in.Key, in.Body)
}

// checked evaluates a pipeline and refuses one that cannot be queued.
func (s *Server) checked(sub submit.Submission) (submit.Result, error) {
	if s.cfg.Queue == nil {
		return submit.Result{}, pipelines.Errorf(pipelines.CodeUnavailable, "this server runs nothing: its store keeps no queue")
	}
	found, err := s.evaluate(submit.Validate, sub)
	if err == nil {
		err = keepable(found, sub)
	}
	return found, err
}

// enqueue files a submission. What was asked decides whether a key is used for the same.
func (s *Server) enqueue(ctx context.Context, n runner.Submission, work any, key string, asked any) (*applyOutput, error) {
	now := s.cfg.Now()
	n.Created, n.Resource = now, firstOf(n.Resource, "cpu")
	if n.ID == "" {
		n.ID = runner.NewID(now)
	}
	if n.State == runner.SubmissionQueued {
		n.Queued = now
	}
	text, err := json.Marshal(work)
	if err != nil {
		return nil, fmt.Errorf("submission: %w", err)
	}
	n.Work = text
	if key != "" {
		text, err := json.Marshal(asked)
		if err != nil {
			return nil, fmt.Errorf("submission: %w", err)
		}
		sum := sha256.Sum256(text)
		n.Key, n.KeyHash = key, hex.EncodeToString(sum[:])
	}
	filed, _, err := s.cfg.Queue.Submit(ctx, n)
	if err != nil {
		return nil, err
	}
	return &applyOutput{Status: http.StatusAccepted, Location: "/api/v1/applies/" + filed.ID, Body: applyOf(filed)}, nil
}

// ApplyPath names an apply. (Exported: huma looks into no other embedded types.)
type ApplyPath struct {
	ID string `path:"id" maxLength:"100" doc:"an apply's id, or a training's job_id"`
}

type appliesInput struct {
	Kind     string `query:"kind" enum:"apply,training"`
	State    string `query:"state" enum:"created,queued,running,ended"`
	Pipeline string `query:"pipeline" maxLength:"200"`
	Limit    int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Offset   int    `query:"offset" minimum:"0" maximum:"100000000"`
}

// ApplyList is one page of applies.
type ApplyList struct {
	Applies []Apply `json:"applies" nullable:"false"`
	Limit   int     `json:"limit"`
	Offset  int     `json:"offset"`
	Next    *int    `json:"next_offset,omitempty" doc:"offset of the next page; absent on the last"`
}

type appliesOutput struct{ Body ApplyList }

func (s *Server) listApplies(ctx context.Context, in *appliesInput) (*appliesOutput, error) {
	out := &appliesOutput{Body: ApplyList{Applies: []Apply{}, Limit: in.Limit, Offset: in.Offset}}
	if s.cfg.Queue == nil {
		return out, nil
	}
	found, err := s.cfg.Queue.Submissions(ctx, runner.SubmissionFilter{
		Kind: runner.SubmissionKind(in.Kind), State: runner.SubmissionState(in.State), Pipeline: in.Pipeline, Limit: in.Limit + 1, Offset: in.Offset,
	})
	if err != nil {
		return nil, err
	}
	if len(found) > in.Limit {
		found = found[:in.Limit]
		next := in.Offset + in.Limit
		out.Body.Next = &next
	}
	for _, n := range found {
		out.Body.Applies = append(out.Body.Applies, applyOf(n))
	}
	return out, nil
}

type applyInfoInput struct{ ApplyPath }

func (s *Server) showApply(ctx context.Context, in *applyInfoInput) (*applyOutput, error) {
	n, err := s.submission(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &applyOutput{Status: http.StatusOK, Body: applyOf(n)}, nil
}

type emptyBody struct {
	ApplyPath
	Body *struct{} `required:"true" doc:"{}"`
}

// stopApply asks an apply to stop after its steps wrote checkpoints: 200 once
// it has ended, 202 while it is at it.
func (s *Server) stopApply(ctx context.Context, in *emptyBody) (*applyOutput, error) {
	n, err := s.submission(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return s.stopSubmission(ctx, n)
}

func (s *Server) stopSubmission(ctx context.Context, n runner.Submission) (*applyOutput, error) {
	if n.State == runner.SubmissionEnded {
		return nil, pipelines.Errorf(pipelines.CodeConflict, "%s has ended already (%s)", n.ID, n.Status)
	}
	n, err := s.cfg.Queue.AskCancel(ctx, n.ID, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(s.cfg.StopWait); n.State != runner.SubmissionEnded && time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(s.cfg.Poll):
		}
		if n, err = s.cfg.Queue.Submission(ctx, n.ID); err != nil {
			return nil, err
		}
	}
	status := http.StatusOK
	if n.State != runner.SubmissionEnded {
		status = http.StatusAccepted
	}
	return &applyOutput{Status: status, Body: applyOf(n)}, nil
}

// resumeApply queues an apply that has ended once more: completed steps are
// reused, others go on from their last checkpoints.
func (s *Server) resumeApply(ctx context.Context, in *emptyBody) (*applyOutput, error) {
	n, err := s.submission(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return s.resumeSubmission(ctx, n)
}

func (s *Server) resumeSubmission(ctx context.Context, n runner.Submission) (*applyOutput, error) {
	switch {
	case n.State == runner.SubmissionCreated:
		return nil, pipelines.Errorf(pipelines.CodeConflict, "%s was not started yet; start it", n.ID)
	case n.State == runner.SubmissionEnded && n.Status == pipelines.StatusCompleted:
		return nil, pipelines.Errorf(pipelines.CodeConflict, "%s has completed; there is nothing to go on with", n.ID)
	}
	return s.queueAgain(ctx, n)
}

func (s *Server) queueAgain(ctx context.Context, n runner.Submission) (*applyOutput, error) {
	n, err := s.cfg.Queue.Enqueue(ctx, n.ID, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	return &applyOutput{Status: http.StatusAccepted, Location: "/api/v1/applies/" + n.ID, Body: applyOf(n)}, nil
}

type noticesInput struct {
	ApplyPath
	After string `query:"after" maxLength:"20000" doc:"the cursor of the answer before; nothing = from the beginning"`
	Wait  int    `query:"wait" minimum:"0" maximum:"15" doc:"seconds to wait when there is nothing new"`
}

// NoticeList is what happened in an apply since a cursor.
type NoticeList struct {
	Notices []json.RawMessage `json:"notices" nullable:"false" doc:"lines of runner apply --json"`
	Cursor  string            `json:"cursor" doc:"pass it as after"`
	Apply   Apply             `json:"apply"`
	Done    bool              `json:"done" doc:"the apply has ended, and nothing is left to be read"`
}

type noticesOutput struct{ Body NoticeList }

// notices tells what happened, events of the steps among it.
func (s *Server) notices(ctx context.Context, in *noticesInput) (*noticesOutput, error) {
	n, err := s.submission(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	at, err := parseCursor(in.After)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(time.Duration(in.Wait) * time.Second); ; {
		if n, err = s.cfg.Queue.Submission(ctx, n.ID); err != nil {
			return nil, err
		}
		found, err := s.happened(ctx, n.ID, &at)
		if err != nil {
			return nil, err
		}
		ended := n.State == runner.SubmissionEnded && len(found) == 0
		if len(found) > 0 || ended || !time.Now().Before(deadline) || s.stop.Err() != nil {
			return &noticesOutput{Body: NoticeList{Notices: found, Cursor: at.String(), Apply: applyOf(n), Done: ended}}, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.stop.Done():
		case <-time.After(s.cfg.Poll):
		}
	}
}

// submission finds one by its id or job id.
func (s *Server) submission(ctx context.Context, id string) (runner.Submission, error) {
	if s.cfg.Queue == nil {
		return runner.Submission{}, pipelines.Errorf(pipelines.CodeNotFound, "there is no apply %q on this server", id)
	}
	if job, ok := jobNumber(id); ok {
		if n, err := s.cfg.Queue.SubmissionByJob(ctx, job); pipelines.CodeOf(err) != pipelines.CodeNotFound {
			return n, err
		}
	}
	return s.cfg.Queue.Submission(ctx, id)
}
