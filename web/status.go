package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

type statusInput struct {
	Pipeline    string `query:"pipeline" maxLength:"200"`
	Commit      string `query:"commit" maxLength:"200" doc:"git commit of the sources, in full"`
	Branch      string `query:"branch" maxLength:"500"`
	IfNoneMatch string `header:"If-None-Match"`
}

type statusOutput struct {
	Status       int
	ETag         string `header:"ETag"`
	CacheControl string `header:"Cache-Control"`
	Body         *StatusList
}

// StatusList is one poll for CI: the newest run of every step.
type StatusList struct {
	V     int            `json:"v" doc:"version of this answer, 1"`
	State string         `json:"state" enum:"none,running,failed,interrupted,cancelled,completed" doc:"of all steps together: running while one is, else failed, interrupted (not ended, and nothing works on it) or cancelled if one is"`
	Total int            `json:"total"`
	Count map[string]int `json:"count" doc:"runs by status"`
	Runs  []RunStatus    `json:"runs" nullable:"false"`
}

// RunStatus is where one run is.
type RunStatus struct {
	RunID    string            `json:"run_id"`
	JobID    int64             `json:"job_id"`
	Pipeline string            `json:"pipeline"`
	Address  pipelines.Address `json:"address"`
	Kind     pipelines.Kind    `json:"kind"`
	Model    string            `json:"model,omitempty"`
	Status   pipelines.Status  `json:"status" enum:"pending,running,completed,failed,cancelled,skipped"`
	State    runner.RunState   `json:"state" enum:"live,interrupted,unknown,ended"`
	Attempt  int               `json:"attempt"`
	Progress *Progress         `json:"progress,omitempty"`
	Best     map[string]Number `json:"best,omitempty" doc:"metrics of the best checkpoint so far"`
	Error    string            `json:"error,omitempty"`
	Cause    pipelines.Cause   `json:"cause,omitempty"`
	Started  *time.Time        `json:"started,omitempty"`
	Ended    *time.Time        `json:"ended,omitempty"`
}

// statusRuns is how many steps status tells of, those with the newest runs.
const statusRuns = 1000

func (s *Server) status(ctx context.Context, in *statusInput) (*statusOutput, error) {
	standings, err := s.cfg.Store.Standings(ctx, runner.RunFilter{Pipeline: in.Pipeline, Commit: in.Commit, Branch: in.Branch, Newest: true, Limit: statusRuns})
	if err != nil {
		return nil, err
	}
	states := s.cfg.Control.States(ctx, standings)
	list := &StatusList{V: 1, Total: len(standings), Count: map[string]int{}, Runs: make([]RunStatus, len(standings))}
	for i, st := range standings {
		list.Count[string(st.Run.Status)]++
		list.Runs[i] = runStatusOf(st, states[st.Run.ID])
	}
	list.State = overall(list.Runs)
	body, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	sum := sha256.Sum256(body)
	out := &statusOutput{Status: http.StatusOK, ETag: `"` + hex.EncodeToString(sum[:16]) + `"`, CacheControl: "no-cache", Body: list}
	if matches(in.IfNoneMatch, out.ETag) {
		out.Status, out.Body = http.StatusNotModified, nil
	}
	return out, nil
}

// matches reports that an If-None-Match header names the tag.
func matches(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == tag || part == "*" {
			return true
		}
	}
	return false
}

// overall is the state of all steps together: the first of these words that
// fits one of them.
func overall(runs []RunStatus) string {
	words := []string{"running", "failed", "interrupted", "cancelled", "completed"}
	state := len(words)
	for _, r := range runs {
		word := "cancelled" // or skipped
		switch {
		case r.State == runner.RunInterrupted:
			word = "interrupted"
		case !r.Status.Ended():
			word = "running"
		case r.Status == pipelines.StatusFailed:
			word = "failed"
		case r.Status == pipelines.StatusCompleted:
			word = "completed"
		}
		state = min(state, slices.Index(words, word))
	}
	if state == len(words) {
		return "none"
	}
	return words[state]
}

func runStatusOf(st runner.Standing, state runner.RunState) RunStatus {
	run := st.Run
	return RunStatus{
		RunID: run.ID, JobID: run.JobID, Pipeline: run.Pipeline, Address: run.Address, Kind: run.Kind, Model: run.Model,
		Status: run.Status, State: state, Attempt: run.Attempts, Progress: progressOf(run.Progress), Best: numbers(st.Metrics()),
		Error: run.Error, Cause: run.Cause, Started: when(run.Started), Ended: when(run.Ended),
	}
}
