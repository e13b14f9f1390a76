package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Reports files what comes from elsewhere than an attempt's spool.
// *sqlstore.Store fulfils it.
type Reports interface {
	AppendEvents(ctx context.Context, runID string, events []pipelines.Event) (int, error)
	AppendReports(ctx context.Context, runID string, reports []runner.Report) (int, error)
}

// Callback is what a step sends: events of the protocol, or one report, or
// many, in the platform's shape.
type Callback struct {
	RunID     string            `json:"run_id,omitempty"`
	JobID     json.Number       `json:"job_id,omitempty"`
	Events    []pipelines.Event `json:"events,omitempty"`    // docs/protocol.md; each once by attempt and seq
	Reports   []namedEvent      `json:"reports,omitempty"`   // events without a place, each once by its id
	Callbacks []platformReport  `json:"callbacks,omitempty"` // a batch in the platform's shape
	platformReport
}

// namedEvent is an event of the protocol whose id stands for attempt and seq.
type namedEvent struct {
	ID    string          `json:"id"`
	Event pipelines.Event `json:"event"`
}

// platformReport is one report in the platform's shape. epoch counts from 0.
type platformReport struct {
	ID         string     `json:"id,omitempty"` // makes a report that comes again the same
	Type       string     `json:"type,omitempty"`
	EventType  string     `json:"event_type,omitempty"` // the same
	Time       *time.Time `json:"timestamp,omitempty"`
	Epoch      int        `json:"epoch,omitempty"`
	GlobalStep int64      `json:"global_step,omitempty"`

	Loss         *pipelines.Float           `json:"loss,omitempty"`
	Accuracy     *pipelines.Float           `json:"accuracy,omitempty"`
	LearningRate *pipelines.Float           `json:"learning_rate,omitempty"`
	Extra        map[string]pipelines.Float `json:"extra_metrics,omitempty"`

	Status string `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`

	Message string `json:"message,omitempty"`
	Level   string `json:"level,omitempty"`

	TaskType        string                                `json:"task_type,omitempty"`
	Split           string                                `json:"split,omitempty"`
	PrimaryName     string                                `json:"primary_metric_name,omitempty"`
	PrimaryValue    *pipelines.Float                      `json:"primary_metric_value,omitempty"`
	OverallLoss     *pipelines.Float                      `json:"overall_loss,omitempty"`
	Metrics         map[string]pipelines.Float            `json:"metrics,omitempty"`
	PerClass        map[string]map[string]pipelines.Float `json:"per_class_metrics,omitempty"`
	Classes         []string                              `json:"classes,omitempty"`
	ConfusionMatrix [][]int64                             `json:"confusion_matrix,omitempty"`
	PRCurves        map[string]pipelines.PRCurve          `json:"pr_curves,omitempty"`

	CheckpointPath string `json:"checkpoint_path,omitempty"`
	SHA256         string `json:"sha256,omitempty"`
	Name           string `json:"name,omitempty"`
}

// CallbackAnswer says how much of a callback was new.
type CallbackAnswer struct {
	RunID    string `json:"run_id"`
	Received int    `json:"received"`
	New      int    `json:"new" doc:"the rest had come before"`
}

const callbackPath = "/api/v1/internal/training/callback"

// reportedRun is the request's local that names the only run of its token.
const reportedRun = "reported-run"

func (s *Server) callbackRoute() answer {
	return answer{handler: s.callback, body: true, responses: map[string]*huma.Response{
		"200": s.response("They are filed", reflect.TypeFor[CallbackAnswer]()),
	}}
}

// callback files events. The answer comes once they are in the store.
func (s *Server) callback(c *fiber.Ctx) error {
	if s.cfg.Reports == nil {
		return pipelines.Errorf(pipelines.CodeUnavailable, "this server's store takes no events")
	}
	var in Callback
	err := s.reading.take(c.UserContext(), func() error {
		if err := json.Unmarshal(c.Body(), &in); err != nil {
			return pipelines.Errorf(pipelines.CodeInvalid, "the body is no callback: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var out CallbackAnswer
	err = s.filing.take(c.UserContext(), func() (err error) {
		out, err = s.file(c, in)
		return err
	})
	if err != nil {
		return err
	}
	return c.JSON(out)
}

// places bound how many do something at once, so that those who write leave a
// processor and connections of the store to those who read.
type places chan struct{}

// filingAtOnce callbacks are with the store, whose machine may be another one.
const filingAtOnce = 2

// take does something when there is a place for it.
func (p places) take(ctx context.Context, do func() error) error {
	select {
	case p <- struct{}{}:
		defer func() { <-p }()
		return do()
	case <-ctx.Done():
		return pipelines.Errorf(pipelines.CodeUnavailable, "too much is being filed; send it again in a moment")
	}
}

// file files a callback.
func (s *Server) file(c *fiber.Ctx, in Callback) (CallbackAnswer, error) {
	var out CallbackAnswer
	run, err := s.find(c.UserContext(), firstOf(in.RunID, in.JobID.String()))
	if err != nil {
		return out, err
	}
	if only, ok := c.Locals(reportedRun).(string); ok && only != run.ID {
		return out, problem(http.StatusForbidden, codeForbidden, "this token is for another run")
	}
	out.RunID = run.ID
	if len(in.Events) > 0 {
		n, err := s.cfg.Reports.AppendEvents(c.UserContext(), run.ID, in.Events)
		if err != nil {
			return out, err
		}
		out.Received, out.New = len(in.Events), n
	}
	single := in.platformReport
	if single.Type != "" || single.EventType != "" {
		in.Callbacks = append(in.Callbacks, single)
	}
	var reports []runner.Report
	for i, r := range in.Reports {
		if r.ID == "" || r.Event.Type == "" {
			return out, pipelines.Errorf(pipelines.CodeInvalid, "report %d: it has an id and an event", i)
		}
		reports = append(reports, runner.Report{ID: r.ID, Event: r.Event})
	}
	for i, r := range in.Callbacks {
		events, err := r.events(s.cfg.Now())
		if err != nil {
			return out, pipelines.Errorf(pipelines.CodeInvalid, "report %d: %w", i, err)
		}
		for j, e := range events {
			id := r.ID
			if id != "" && j > 0 {
				id += "/" + strconv.Itoa(j)
			}
			reports = append(reports, runner.Report{ID: id, Event: e})
		}
	}
	if len(reports) > 0 {
		n, err := s.cfg.Reports.AppendReports(c.UserContext(), run.ID, reports)
		if err != nil {
			return out, err
		}
		out.Received, out.New = out.Received+len(reports), out.New+n
	}
	if out.Received == 0 {
		return out, problem(http.StatusUnprocessableEntity, pipelines.CodeInvalid, `there is nothing in it: send "events", "reports", "callbacks", or one report with its "type"`)
	}
	return out, nil
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// events are what a report says in the terms of the protocol.
func (r platformReport) events(now time.Time) ([]pipelines.Event, error) {
	at := now
	if r.Time != nil {
		at = *r.Time
	}
	one := func(e pipelines.Event) []pipelines.Event {
		e.Version, e.Time = pipelines.EventVersion, at
		return []pipelines.Event{e}
	}
	switch kind := strings.ToLower(firstOf(r.Type, r.EventType)); kind {
	case "metrics":
		return r.metrics(at)
	case "status", "status_update":
		state := pipelines.Status(r.Status)
		if !slices.Contains([]pipelines.Status{pipelines.StatusRunning, pipelines.StatusCompleted, pipelines.StatusFailed, pipelines.StatusCancelled}, state) {
			return nil, fmt.Errorf("status %q is none of running, completed, failed, cancelled", r.Status)
		}
		return one(pipelines.Event{Type: pipelines.EventStatus, Status: &pipelines.StatusReport{State: state, Error: r.Error}}), nil
	case "message", "log":
		level := strings.ToLower(firstOf(r.Level, "info"))
		if !slices.Contains([]string{"debug", "info", "warning", "error"}, level) {
			return nil, fmt.Errorf("level %q is none of DEBUG, INFO, WARNING, ERROR", r.Level)
		}
		return one(pipelines.Event{Type: pipelines.EventMessage, Message: &pipelines.Message{Level: level, Text: r.Message}}), nil
	case "validation", "validation_result":
		if r.PrimaryName == "" || r.PrimaryValue == nil {
			return nil, fmt.Errorf("a validation names its primary_metric_name and primary_metric_value")
		}
		v := &pipelines.Validation{Epoch: r.Epoch + 1, GlobalStep: r.GlobalStep, TaskType: r.TaskType, Split: firstOf(r.Split, "val"), PrimaryName: r.PrimaryName,
			PrimaryValue: float64(*r.PrimaryValue), Metrics: plainFloats(r.Metrics), Classes: r.Classes, ConfusionMatrix: r.ConfusionMatrix, PRCurves: r.PRCurves, CheckpointPath: r.CheckpointPath}
		if r.OverallLoss != nil {
			v.Loss = float64(*r.OverallLoss)
		}
		for class, row := range r.PerClass {
			if v.PerClass == nil {
				v.PerClass = map[string]map[string]float64{}
			}
			v.PerClass[class] = plainFloats(row)
		}
		return one(pipelines.Event{Type: pipelines.EventValidation, Validation: v}), nil
	case "checkpoint":
		if r.CheckpointPath == "" {
			return nil, fmt.Errorf("a checkpoint names its checkpoint_path")
		}
		return one(pipelines.Event{Type: pipelines.EventCheckpoint, Checkpoint: &pipelines.Checkpoint{
			Name: firstOf(r.Name, fmt.Sprintf("epoch_%d", r.Epoch+1)), Path: r.CheckpointPath, SHA256: r.SHA256, Epoch: r.Epoch + 1, GlobalStep: r.GlobalStep, Metrics: plainFloats(r.Metrics),
		}}), nil
	default:
		return nil, fmt.Errorf("type %q is none of metrics, status, message, validation, checkpoint", kind)
	}
}

// metrics sorts the numbers by split, as the SDK's logger does.
func (r platformReport) metrics(at time.Time) ([]pipelines.Event, error) {
	splits := map[string]map[string]float64{}
	put := func(split, name string, v *pipelines.Float) {
		if v == nil {
			return
		}
		if splits[split] == nil {
			splits[split] = map[string]float64{}
		}
		splits[split][name] = float64(*v)
	}
	put("train", "loss", r.Loss)
	put("train", "learning_rate", r.LearningRate)
	put("val", "accuracy", r.Accuracy)
	for name, v := range r.Extra {
		split, rest := "val", name
		for _, known := range []string{"train", "val", "test"} {
			if cut, ok := strings.CutPrefix(name, known+"_"); ok {
				split, rest = known, cut
			}
		}
		if name == "learning_rate" || name == "lr" {
			split, rest = "train", "learning_rate"
		}
		put(split, rest, &v)
	}
	var out []pipelines.Event
	for _, split := range []string{"train", "val", "test"} {
		if values := splits[split]; values != nil {
			out = append(out, pipelines.Event{Version: pipelines.EventVersion, Time: at, Type: pipelines.EventMetrics,
				Metrics: &pipelines.Metrics{Epoch: r.Epoch + 1, GlobalStep: r.GlobalStep, Split: split, Values: values}})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("metrics without a number")
	}
	return out, nil
}

func plainFloats(m map[string]pipelines.Float) map[string]float64 {
	if m == nil {
		return nil
	}
	out := make(map[string]float64, len(m))
	for k, v := range m {
		out[k] = float64(v)
	}
	return out
}
