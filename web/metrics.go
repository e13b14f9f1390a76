package web

import (
	"context"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

type metricsInput struct {
	RunPath
	Name       string `query:"name" maxLength:"200" doc:"loss, accuracy, learning_rate, …"`
	Split      string `query:"split" enum:"train,val,test"`
	MaxPoints  int    `query:"max_points" minimum:"3" maximum:"20000" default:"1000" doc:"of each curve; longer ones are down-sampled by largest triangles (LTTB)"`
	Superseded bool   `query:"superseded" doc:"also what earlier attempts measured beyond the point of resume"`
}

type metricsOutput struct{ Body MetricList }

// MetricList is a run's curves.
type MetricList struct {
	RunID  string   `json:"run_id"`
	Series []Series `json:"series" nullable:"false"`
}

// Series is one curve, in the order of training.
type Series struct {
	Name   string  `json:"name"`
	Split  string  `json:"split"`
	Class  string  `json:"class,omitempty"`
	Points []Point `json:"points" nullable:"false"`
}

// Point is one value at one moment.
type Point struct {
	Epoch      int       `json:"epoch"`
	GlobalStep int64     `json:"global_step"`
	Value      Number    `json:"value"`
	Attempt    int       `json:"attempt"`
	Superseded bool      `json:"superseded,omitempty"`
	Time       time.Time `json:"time"`
}

func (s *Server) metrics(ctx context.Context, in *metricsInput) (*metricsOutput, error) {
	run, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.Store.Metrics(ctx, runner.MetricFilter{
		RunID: run.ID, Name: in.Name, Split: in.Split, IncludeSuperseded: in.Superseded, MaxPoints: in.MaxPoints,
	})
	if err != nil {
		return nil, err
	}
	out := MetricList{RunID: run.ID, Series: []Series{}}
	for i, r := range rows {
		if i == 0 || r.Name != rows[i-1].Name || r.Split != rows[i-1].Split || r.Class != rows[i-1].Class {
			out.Series = append(out.Series, Series{Name: r.Name, Split: r.Split, Class: r.Class})
		}
		last := &out.Series[len(out.Series)-1]
		last.Points = append(last.Points, Point{
			Epoch: r.Epoch, GlobalStep: r.GlobalStep, Value: Number(r.Value), Attempt: r.Attempt, Superseded: r.Superseded, Time: r.Time,
		})
	}
	return &metricsOutput{Body: out}, nil
}

type validationInput struct {
	RunPath
	Epoch    int  `query:"epoch" minimum:"0" doc:"only passes after this epoch; 0 = all"`
	PRCurves bool `query:"pr_curves" doc:"with precision-recall curves, which are long"`
}

type validationOutput struct{ Body ValidationList }

// ValidationList is a run's passes over held-out data, in the order of training.
type ValidationList struct {
	RunID       string       `json:"run_id"`
	Validations []Validation `json:"validations" nullable:"false"`
}

// Validation is one pass, in the platform's shape.
type Validation struct {
	JobID           int64                        `json:"job_id"`
	Epoch           int                          `json:"epoch"`
	GlobalStep      int64                        `json:"global_step"`
	TaskType        string                       `json:"task_type"`
	Split           string                       `json:"split"`
	PrimaryName     string                       `json:"primary_metric_name"`
	PrimaryValue    Number                       `json:"primary_metric_value"`
	Loss            Number                       `json:"overall_loss"`
	Metrics         map[string]Number            `json:"metrics"`
	PerClass        map[string]map[string]Number `json:"per_class_metrics,omitempty"`
	Classes         []string                     `json:"classes,omitempty"`
	ConfusionMatrix [][]int64                    `json:"confusion_matrix,omitempty" doc:"[truth][prediction]"`
	PRCurves        map[string]PRCurve           `json:"pr_curves,omitempty" doc:"class -> its precision-recall curve"`
	Samples         []Sample                     `json:"samples,omitempty" doc:"the worst errors and some others"`
	CheckpointPath  string                       `json:"checkpoint_path,omitempty"`
}

// PRCurve is precision over recall of one class against the rest.
type PRCurve struct {
	AP         Number   `json:"ap" doc:"average precision"`
	Thresholds []Number `json:"thresholds" nullable:"false" doc:"falling; a prediction counts from there on"`
	Precision  []Number `json:"precision" nullable:"false"`
	Recall     []Number `json:"recall" nullable:"false"`
}

// Sample is one image and what the model said of it.
type Sample struct {
	Path       string `json:"path"`
	Label      int    `json:"label"`
	Prediction int    `json:"prediction"`
	Confidence Number `json:"confidence"`
	Loss       Number `json:"loss"`
}

func (s *Server) validation(ctx context.Context, in *validationInput) (*validationOutput, error) {
	run, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	passes, err := s.cfg.Store.Validations(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	out := ValidationList{RunID: run.ID, Validations: []Validation{}}
	for _, p := range passes {
		if in.Epoch > 0 && p.Epoch != in.Epoch {
			continue
		}
		if !in.PRCurves {
			p.PRCurves = nil
		}
		out.Validations = append(out.Validations, validationOf(run.JobID, p))
	}
	return &validationOutput{Body: out}, nil
}

func validationOf(job int64, p pipelines.Validation) Validation {
	v := Validation{
		JobID: job, Epoch: p.Epoch, GlobalStep: p.GlobalStep, TaskType: p.TaskType, Split: p.Split,
		PrimaryName: p.PrimaryName, PrimaryValue: Number(p.PrimaryValue), Loss: Number(p.Loss),
		Metrics: numbers(p.Metrics), PerClass: table(p.PerClass), Classes: p.Classes,
		ConfusionMatrix: p.ConfusionMatrix, CheckpointPath: p.CheckpointPath,
	}
	for class, c := range p.PRCurves {
		if v.PRCurves == nil {
			v.PRCurves = map[string]PRCurve{}
		}
		v.PRCurves[class] = PRCurve{AP: Number(c.AP), Thresholds: numberList(c.Thresholds), Precision: numberList(c.Precision), Recall: numberList(c.Recall)}
	}
	for _, x := range p.Samples {
		v.Samples = append(v.Samples, Sample{Path: x.Path, Label: x.Label, Prediction: x.Prediction, Confidence: Number(x.Confidence), Loss: Number(x.Loss)})
	}
	return v
}
