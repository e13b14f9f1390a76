package adaptertest

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// checkEvents looks at one whole training: order, identity, and that what is
// announced is there.
func checkEvents(p *probe) {
	a := p.whole()
	task := p.shared.task
	p.checkOrder(task, a)
	var epochs []int
	for _, e := range a.events {
		if v := e.Validation; v != nil {
			epochs = append(epochs, v.Epoch)
			if v.PrimaryName == "" || v.Split == "" {
				p.errorf("the validation of epoch %d has no primary metric or no split", v.Epoch)
			}
			if acc, ok := v.Metrics["accuracy"]; ok && (acc < 0 || acc > 1) {
				p.errorf("accuracy %v of epoch %d does not lie in [0,1]", acc, v.Epoch)
			}
		}
	}
	want := make([]int, task.Train.Epochs)
	for i := range want {
		want[i] = i + 1
	}
	if !slices.Equal(slices.Compact(epochs), want) {
		p.errorf("validations for epochs %v, want %v", epochs, want)
	}
	r := a.result()
	if len(a.checkpoints()) == 0 || r.Best == nil || r.Latest == nil {
		p.fatalf("%d checkpoints announced, best %v, latest %v", len(a.checkpoints()), r.Best, r.Latest)
	}
	for _, c := range append(a.checkpoints(), *r.Best, *r.Latest) {
		if _, err := p.Weights(c.Path); err != nil {
			p.errorf("checkpoint %s was announced, but: %v", c.Name, err)
		}
		if c.SHA256 == "" || c.Epoch < 1 || c.GlobalStep < 1 {
			p.errorf("checkpoint %s lacks hash, epoch or global_step: %+v", c.Name, c)
		}
	}
	if v, ok := r.Metrics[task.Train.Monitor]; !ok || math.IsNaN(v) {
		p.errorf("the result has no metric %q, which is monitored: %v", task.Train.Monitor, r.Metrics)
	}
	if len(r.LastMetrics) == 0 {
		p.errorf("the result has no last_metrics")
	}
}

// checkOrder: config_applied, then resumed on a later attempt that goes on,
// both before any number; one result, at the end; seq without gaps; steps
// that never go back.
func (p *probe) checkOrder(task pipelines.Task, a attemptEnd) {
	var applied, resumed bool
	step, from := int64(0), int64(0)
	validated := map[int]bool{}
	for i, e := range a.events {
		if e.Seq != int64(i+1) || e.Attempt != task.Attempt {
			p.fatalf("event %d has seq %d and attempt %d", i+1, e.Seq, e.Attempt)
		}
		at := int64(-1)
		switch {
		case e.ConfigApplied != nil:
			if applied {
				p.errorf("config_applied came twice")
			}
			applied = true
			if e.ConfigApplied.Proof != "objects" && e.ConfigApplied.Proof != "read" {
				p.errorf("proof %q is neither objects nor read", e.ConfigApplied.Proof)
			}
		case e.Resumed != nil:
			if !applied || resumed {
				p.errorf("resumed came before config_applied, or twice")
			}
			resumed, step, from = true, e.Resumed.GlobalStep, e.Resumed.GlobalStep
		case e.Metrics != nil:
			at = e.Metrics.GlobalStep
		case e.Validation != nil:
			at = e.Validation.GlobalStep
			validated[e.Validation.Epoch] = true
		case e.Checkpoint != nil:
			at = e.Checkpoint.GlobalStep
			if name := fmt.Sprintf("epoch_%d", e.Checkpoint.Epoch); e.Checkpoint.Name == name && at > from && !validated[e.Checkpoint.Epoch] {
				p.errorf("checkpoint %s comes before the validation of its epoch: an attempt that resumed from it would never report that", name)
			}
		case e.Result != nil && i != len(a.events)-1:
			p.errorf("%d events follow the result", len(a.events)-1-i)
		}
		if at >= 0 && !applied {
			p.errorf("event %d (%s) comes before config_applied", e.Seq, e.Type)
			applied = true // once is enough
		}
		if at >= 0 && at < step {
			p.errorf("event %d (%s) goes back from global step %d to %d", e.Seq, e.Type, step, at)
		}
		step = max(step, at)
	}
	if a.result().State == "" {
		p.errorf("there is no result")
	}
}

// checkPerClass: the last validation and the result have metrics of each class.
func checkPerClass(p *probe) {
	if !p.PerClass {
		p.skip("the harness asks for none")
	}
	a := p.whole()
	var last *pipelines.Validation
	for _, e := range a.events {
		if e.Validation != nil {
			last = e.Validation
		}
	}
	if last == nil {
		p.fatalf("there is no validation")
	}
	for where, got := range map[string]map[string]map[string]float64{"the last validation": last.PerClass, "the result": a.result().PerClass} {
		for _, class := range p.shared.task.Dataset.Classes {
			if len(got[class]) == 0 {
				p.errorf("%s has no metrics of class %s; its classes are %v", where, class, slices.Sorted(maps.Keys(got)))
			}
		}
	}
}

// sameMetrics: two trainings have the same metrics of the same epochs.
func (p *probe) sameMetrics(what string, a, b map[string]float64) {
	of := func(m map[string]float64) []string {
		names := map[string]bool{}
		for k := range m {
			names[k[:strings.LastIndex(k, ".")]] = true // without the global step
		}
		return slices.Sorted(maps.Keys(names))
	}
	if want, got := of(a), of(b); !slices.Equal(want, got) {
		p.errorf("%s: its metrics (name@epoch) are %v, those of an uninterrupted training %v", what, got, want)
	}
}

func (p *probe) sameCurve(what string, a, b map[string]float64) {
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if v, ok := b[k]; !ok || v != a[k] && !(math.IsNaN(v) && math.IsNaN(a[k])) {
			p.errorf("%s: %s is %v and %v", what, k, a[k], b[k])
			return
		}
	}
	if len(a) != len(b) {
		p.errorf("%s: %d and %d metric values", what, len(a), len(b))
	}
}

// checkLock: the step holds its attempt's lock as long as it lives, and no longer.
func checkLock(p *probe) {
	task := p.task()
	x := p.start(task)
	x.until(func(e []pipelines.Event) bool { return len(e) > 0 })
	if held, err := spool.Held(task.AttemptDir); err != nil || !held {
		select {
		case <-x.end:
		default:
			p.errorf("a step at work does not hold its attempt's lock (%v)", err)
		}
	}
	x.kill()
	if held, err := spool.Held(task.AttemptDir); err != nil || held {
		p.errorf("the lock is held after the step's end (%v)", err)
	}
}

// sameEnd compares a training that was interrupted with one that was not.
func (p *probe) sameEnd(what string, whole, parts attemptEnd) {
	if p.exact() && !bytes.Equal(p.final(whole), p.final(parts)) {
		p.errorf("%s: the weights at the end are not those of an uninterrupted training", what)
	}
}
