package view

import (
	"slices"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// stepState is what is known of a step while an apply goes on.
type stepState struct {
	address    pipelines.Address
	kind       pipelines.Kind
	started    time.Time
	waiting    string // what it waits for
	progress   *pipelines.Progress
	losses     []float64 // running loss, for the sparkline
	train      map[int]map[string]float64
	validation *pipelines.Validation // of the newest epoch
	all        []pipelines.Validation
	result     *pipelines.Result
}

// Progress remembers an apply's notices: the common part of the plain and the
// live view.
type Progress struct {
	steps map[pipelines.Address]*stepState
	order []pipelines.Address // that run now
	plan  *runner.Plan
}

func newProgress() *Progress { return &Progress{steps: map[pipelines.Address]*stepState{}} }

const maxLosses = 400

// observe files one notice.
func (p *Progress) observe(n runner.Notice) {
	switch n.Type {
	case runner.NoticeApplyStarted:
		p.plan = n.Plan
		return
	}
	if n.Address == "" {
		return
	}
	s := p.steps[n.Address]
	if s == nil {
		s = &stepState{address: n.Address, train: map[int]map[string]float64{}}
		p.steps[n.Address] = s
		if p.plan != nil {
			if step, ok := p.plan.Step(n.Address); ok {
				s.kind = step.Kind
			}
		}
	}
	switch n.Type {
	case runner.NoticeStepStarted, runner.NoticeStepAdopted:
		if s.started.IsZero() {
			s.started = n.Time
		}
		s.waiting = ""
		p.run(n.Address)
	case runner.NoticeStepWaiting:
		s.waiting = n.Message
		p.run(n.Address)
	case runner.NoticeStepEvent:
		s.event(n.Event)
	case runner.NoticeStepEnded, runner.NoticeStepSkipped:
		s.result = n.Result
		p.order = slices.DeleteFunc(p.order, func(a pipelines.Address) bool { return a == n.Address })
	}
}

// surprises reports that a step was decided otherwise than the plan said.
func (p *Progress) surprises(step runner.PlannedStep) bool {
	if p.plan == nil {
		return true
	}
	planned, ok := p.plan.Step(step.Address)
	return !ok || planned.Action != step.Action
}

func (p *Progress) run(a pipelines.Address) {
	if !slices.Contains(p.order, a) {
		p.order = append(p.order, a)
	}
}

func (s *stepState) event(e *pipelines.Event) {
	switch {
	case e == nil:
	case e.Progress != nil:
		s.progress = e.Progress
		s.losses = append(s.losses, e.Progress.Loss)
		if len(s.losses) > maxLosses {
			s.losses = s.losses[len(s.losses)-maxLosses:]
		}
	case e.Metrics != nil && e.Metrics.Split == "train":
		s.train[e.Metrics.Epoch] = e.Metrics.Values
	case e.Validation != nil:
		s.validation = e.Validation
		s.all = append(s.all, *e.Validation)
	}
}

// best is the validation of the best checkpoint, else the newest.
func (s *stepState) best() *pipelines.Validation {
	if s.result != nil && s.result.Best != nil {
		for i := len(s.all) - 1; i >= 0; i-- {
			if s.all[i].Epoch == s.result.Best.Epoch {
				return &s.all[i]
			}
		}
	}
	return s.validation
}

// Best returns the validation of each step's best checkpoint.
func (p *Progress) Best() map[pipelines.Address]pipelines.Validation {
	out := map[pipelines.Address]pipelines.Validation{}
	for address, s := range p.steps {
		if v := s.best(); v != nil {
			out[address] = *v
		}
	}
	return out
}
