package web

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// TrainJobStatus is what a Kubeflow trainer tells its controller (KEP-2779): a
// training whose KUBEFLOW_TRAINER_STATUS_URL is this route and whose
// KUBEFLOW_TRAINER_STATUS_TOKEN may send events of the run reports here as it is.
type TrainJobStatus struct {
	Trainer struct {
		Progress  *float64        `json:"progressPercentage,omitempty" minimum:"0" maximum:"100"`
		Remaining *float64        `json:"estimatedRemainingSeconds,omitempty"`
		Metrics   []TrainerMetric `json:"metrics,omitempty"`
		Updated   time.Time       `json:"lastUpdatedTime"`
	} `json:"trainerStatus"`
}

// TrainerMetric is a number, written as text or as a number. epoch and step,
// by these names, place the others.
type TrainerMetric struct {
	Name  string      `json:"name"`
	Value json.Number `json:"value"`
}

// TrainJobAnswer says what became of a trainer's status.
type TrainJobAnswer struct {
	CallbackAnswer
	Ignored string `json:"ignored,omitempty" doc:"why nothing of it was filed: the run has ended, and its numbers stay as they are"`
}

const trainJobPath = "/api/v1/trainjobs/{id}/status"

func (s *Server) trainJobRoute() answer {
	return answer{handler: s.trainJob, body: true, params: []*huma.Param{pathParam("id", "a run's id, or its job_id")}, responses: map[string]*huma.Response{
		"200": s.response("It is filed, or ignored", reflect.TypeFor[TrainJobAnswer]()),
	}}
}

// trainJob files a trainer's status once, however often it is sent. One that
// comes after the run's end is no error of the trainer, and changes nothing.
func (s *Server) trainJob(c *fiber.Ctx) error {
	if s.cfg.Reports == nil {
		return pipelines.Errorf(pipelines.CodeUnavailable, "this server's store takes no events")
	}
	var in TrainJobStatus
	if err := json.Unmarshal(c.Body(), &in); err != nil {
		return pipelines.Errorf(pipelines.CodeInvalid, "the body is no trainerStatus: %w", err)
	}
	run, err := s.find(c.UserContext(), c.Params("id"))
	if err != nil {
		return err
	}
	if only, ok := c.Locals(reportedRun).(string); ok && only != run.ID {
		return problem(http.StatusForbidden, codeForbidden, "this token is for another run")
	}
	if in.Trainer.Updated.IsZero() {
		p := problem(http.StatusUnprocessableEntity, pipelines.CodeInvalid, "trainerStatus.lastUpdatedTime is missing: it makes a status that comes again the same")
		p.Errors = []ProblemAt{{Location: "/trainerStatus/lastUpdatedTime", Message: "it is missing"}}
		return p
	}
	events, err := in.events()
	if err != nil {
		return problem(http.StatusUnprocessableEntity, pipelines.CodeInvalid, err.Error())
	}
	reports := make([]runner.Report, len(events))
	for i, e := range events {
		reports[i] = runner.Report{ID: fmt.Sprintf("trainer-%s-%s", in.Trainer.Updated.UTC().Format(time.RFC3339Nano), e.Type), Event: e}
	}
	out := TrainJobAnswer{CallbackAnswer: CallbackAnswer{RunID: run.ID, Received: len(reports)}}
	if run.Status.Ended() {
		out.Ignored = fmt.Sprintf("the run has ended (%s); its numbers stay as they are", run.Status)
		return c.JSON(out)
	}
	if out.New, err = s.cfg.Reports.AppendReports(c.UserContext(), run.ID, reports); err != nil {
		return err
	}
	return c.JSON(out)
}

// events are what a status says in the terms of the protocol. Progress is told
// in hundredths, for lack of steps.
func (in TrainJobStatus) events() ([]pipelines.Event, error) {
	t := in.Trainer
	epoch, step := 0, int64(0)
	values := map[string]float64{}
	for _, m := range t.Metrics {
		v, err := strconv.ParseFloat(m.Value.String(), 64)
		if err != nil || m.Name == "" {
			return nil, fmt.Errorf("the metric %q has the value %q, which is no number", m.Name, m.Value)
		}
		switch m.Name {
		case "epoch":
			epoch = int(math.Ceil(v))
		case "step", "global_step":
			step = int64(v)
		default:
			values[m.Name] = v
		}
	}
	var out []pipelines.Event
	add := func(e pipelines.Event) {
		e.Version, e.Time = pipelines.EventVersion, t.Updated
		out = append(out, e)
	}
	if t.Progress != nil {
		p := &pipelines.Progress{Epoch: epoch, Step: int64(math.Round(*t.Progress)), Steps: 100, GlobalStep: step}
		if t.Remaining != nil {
			p.ETASeconds = *t.Remaining
		}
		if loss, ok := values["loss"]; ok {
			p.Loss = loss
		}
		add(pipelines.Event{Type: pipelines.EventProgress, Progress: p})
	}
	if len(values) > 0 {
		if step == 0 && t.Progress != nil {
			step = int64(math.Round(*t.Progress))
		}
		add(pipelines.Event{Type: pipelines.EventMetrics, Metrics: &pipelines.Metrics{Epoch: epoch, GlobalStep: step, Split: "train", Values: values}})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("trainerStatus has neither progressPercentage nor metrics")
	}
	return out, nil
}
