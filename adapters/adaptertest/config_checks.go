package adaptertest

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

func checkDescription(p *probe) {
	info := p.Adapter.Info()
	if info.Name == "" || len(info.Tasks) == 0 || info.License == "" || info.Numerics < 1 {
		p.errorf("the description lacks a name, tasks, a license or a numerics version: %+v", info)
	}
	for _, task := range info.Tasks {
		s, presets, ok := p.Adapter.Schema(task)
		if !ok {
			p.errorf("task %s is listed, but has no schema", task)
			continue
		}
		if err := s.Validate(); err != nil {
			p.errorf("schema of %s: %v", task, err)
		}
		if err := presets.Validate(s); err != nil {
			p.errorf("presets of %s: %v", task, err)
		}
		for _, name := range []string{"basic", "standard", "aggressive"} {
			if _, ok := presets[name]; !ok {
				p.errorf("%s has no preset %q", task, name)
			}
		}
		if len(p.Adapter.Models(task)) == 0 {
			p.errorf("%s has no models", task)
		}
	}
	if _, _, ok := p.Adapter.Schema("no_such_task"); ok {
		p.errorf("there is a schema for a task that is not listed")
	}
}

func (p *probe) schema() schema.Schema {
	s, _, ok := p.Adapter.Schema(p.task().TaskType)
	if !ok {
		p.fatalf("the adapter has no schema for the harness's task")
	}
	return s
}

// checkConfigReported: config_applied tells every value that was asked for.
func checkConfigReported(p *probe) {
	a := p.whole()
	p.compareApplied(p.shared.task, a)
}

func (p *probe) compareApplied(task pipelines.Task, a attemptEnd) {
	c, ok := a.applied()
	if !ok {
		p.fatalf("no config_applied event")
	}
	for name, want := range task.Train.Config {
		if _, no := c.Unsupported[name]; no {
			continue
		}
		got, ok := c.Values[name]
		if !ok {
			p.fieldf(name, "config_applied does not tell %s", name)
		} else if !same(got, want) {
			p.fieldf(name, "config_applied tells %s = %s, asked was %s", name, schema.Format(got), schema.Format(want))
		}
	}
	for name, want := range map[string]any{"epochs": task.Train.Epochs, "batch_size": task.Train.BatchSize, "learning_rate": task.Train.LearningRate} {
		if got, ok := c.Attributes[name]; ok && !same(got, want) {
			p.errorf("config_applied tells attribute %s = %v, asked was %v", name, got, want)
		}
	}
}

// same compares as a runner does: a number that is read back from a float32, or
// computed from what was built, is as it was asked for to a millionth.
func same(got, want any) bool {
	g, w := number(got), number(want)
	return schema.Equal(got, want) || math.Abs(g-w) <= 1e-6*math.Max(math.Abs(g), math.Abs(w))
}

// number is NaN, which is near nothing, for what is none.
func number(v any) float64 {
	switch n := v.(type) {
	case float64:
		return n
	case int64:
		return float64(n)
	case int:
		return float64(n)
	}
	return math.NaN()
}

func checkRepeatable(p *probe) {
	if p.Inexact != "" {
		p.skip("%s", p.Inexact)
	}
	a, b := p.whole(), p.complete(p.task())
	if !bytes.Equal(p.final(a), p.final(b)) {
		p.errorf("two equal trainings end with different weights")
	}
	p.sameCurve("two equal trainings", curve(a), curve(b))
}

// checkEveryField changes each field once. What must change with it is what
// training did, not what it says.
func checkEveryField(p *probe) {
	s := p.schema()
	b := bases{p: p, s: s, made: map[string]*base{}}
	slots := make(chan struct{}, max(1, p.Parallel))
	var all sync.WaitGroup
	for _, f := range s.Fields {
		if why, skip := p.Skip[f.Name]; skip {
			if why != "" {
				p.leftOut = append(p.leftOut, Failure{Field: f.Name, What: why})
			}
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			p.protect(func() { p.changeField(s, f, &b) })
		})
	}
	all.Wait()
	slices.SortStableFunc(p.failures, func(x, y Failure) int {
		return slices.Index(s.Names(), x.Field) - slices.Index(s.Names(), y.Field)
	})
}

// bases are trainings that changed ones are compared with, each made once.
type bases struct {
	p    *probe
	s    schema.Schema
	mu   sync.Mutex
	made map[string]*base
}

type base struct {
	once sync.Once
	end  attemptEnd
	ok   bool
}

func (b *bases) with(fields map[string]any) (attemptEnd, bool) {
	b.mu.Lock()
	key := fmt.Sprint(slices.Sorted(maps.Keys(fields)), fields)
	x := b.made[key]
	if x == nil {
		x = &base{}
		b.made[key] = x
	}
	b.mu.Unlock()
	x.once.Do(func() {
		b.p.protect(func() { x.end, x.ok = b.p.complete(b.p.with(b.s, fields)), true })
	})
	return x.end, x.ok
}

// most is how many values of a field are tried before it is said to have no effect.
const most = 4

func (p *probe) changeField(s schema.Schema, f schema.Field, b *bases) {
	with, err := p.prepare(s, f)
	if err != nil {
		p.fieldf(f.Name, "%v", err)
		return
	}
	unchanged, ok := b.with(with)
	if !ok {
		return // told already
	}
	before := p.with(s, with).Train.Config[f.Name]
	values := others(f, before)
	if v, given := p.Change[f.Name]; given {
		values = []any{v}
	}
	if len(values) == 0 {
		p.fieldf(f.Name, "%s: no other value than %s can be thought of", f.Name, schema.Format(before))
		return
	}
	var tried []string
	refused := ""
	for _, value := range values[:min(most, len(values))] {
		with := maps.Clone(with)
		with[f.Name] = value
		task := p.with(s, with)
		a := p.run(task)
		r := a.result()
		c, _ := a.applied()
		if p.unsupported(f) && (c.Unsupported[f.Name] != "" || r.Cause == pipelines.CauseConfig && strings.Contains(r.Error, f.Name)) {
			return // it cannot be had here, and nobody believes that it is
		}
		tried = append(tried, schema.Format(value))
		if r.Cause == pipelines.CauseConfig {
			refused = r.Error
			continue
		}
		if r.State != pipelines.StatusCompleted {
			p.fieldf(f.Name, "with %s = %s the training ended as %q: %s\n%s", f.Name, schema.Format(value), r.State, r.Error, a.tail())
			return
		}
		p.compareApplied(task, a)
		if !bytes.Equal(p.final(unchanged), p.final(a)) || !maps.Equal(curve(unchanged), curve(a)) {
			return
		}
		refused = ""
	}
	if refused != "" {
		p.fieldf(f.Name, "%s = %s was refused: %s", f.Name, strings.Join(tried, ", "), refused)
		return
	}
	p.fieldf(f.Name, "%s = %s in place of %s changed neither weights nor metrics nor schedule: the field has no effect",
		f.Name, strings.Join(tried, ", then "), schema.Format(before))
}

// unsupported: the field has no effect on the CPU, and says so.
func (p *probe) unsupported(f schema.Field) bool {
	_, given := p.Unsupported[f.Name]
	return given || len(f.Devices) > 0 && !slices.Contains(f.Devices, "cpu")
}

// prepare lists what must be set so that a field is active and shows.
func (p *probe) prepare(s schema.Schema, f schema.Field) (map[string]any, error) {
	with := maps.Clone(p.With[f.Name])
	if with == nil {
		with = map[string]any{}
	}
	for c := f.Condition; c != nil; {
		control, ok := s.Field(c.Field)
		if !ok {
			return nil, fmt.Errorf("field %s depends on %s, which is not there", f.Name, c.Field)
		}
		if _, given := with[c.Field]; !given {
			with[c.Field] = c.Value
			if list, ok := c.Value.([]any); ok {
				with[c.Field] = list[0]
			}
		}
		c = control.Condition
	}
	return with, nil
}

// with is the harness's task with fields set, and every other active field
// at its own or the schema's value.
func (p *probe) with(s schema.Schema, fields map[string]any) pipelines.Task {
	task := p.task()
	all := s.Defaults()
	maps.Copy(all, task.Train.Config)
	maps.Copy(all, fields)
	inactive := s.Inactive(all)
	for name, v := range all {
		if _, off := inactive[name]; off || v == nil {
			delete(task.Train.Config, name)
			continue
		}
		task.Train.Config[name] = v
		if _, asked := fields[name]; asked {
			set(&task, name, v)
		}
	}
	return task
}

// others thinks of valid values that differ from the one in force.
func others(f schema.Field, now any) []any {
	var candidates []any
	switch f.Type {
	case schema.Select:
		for _, o := range f.Options {
			candidates = append(candidates, o.Value)
		}
	case schema.Boolean:
		candidates = []any{true, false}
	case schema.String:
		candidates = []any{"another"}
	case schema.List:
		candidates = []any{[]any{"another"}}
	case schema.Number, schema.Integer:
		candidates = []any{int64(3), int64(2), int64(1), 0.3, 0.1, 0.01, 0.9, 0.999, int64(50)}
		if f.Type == schema.Number {
			candidates = append([]any{0.3, 0.1}, candidates...)
		}
		if f.Max != nil && f.Min != nil {
			candidates = append(candidates, (*f.Max+*f.Min)/2, *f.Max, *f.Min)
		}
	}
	var out []any
	for _, c := range candidates {
		v, err := f.Check(c)
		if err == nil && !schema.Equal(v, now) && !slices.ContainsFunc(out, func(x any) bool { return schema.Equal(x, v) }) {
			out = append(out, v)
		}
	}
	return out
}

// checkAttributes changes the train block's own numbers.
func checkAttributes(p *probe) {
	base := p.whole()
	for name, change := range map[string]func(*pipelines.TaskTrain){
		"seed":       func(t *pipelines.TaskTrain) { t.Seed += 11 },
		"batch_size": func(t *pipelines.TaskTrain) { t.BatchSize = max(1, t.BatchSize/2) },
		"learning_rate": func(t *pipelines.TaskTrain) {
			t.LearningRate /= 3
			if _, ok := t.Config[schema.LearningRate]; ok {
				t.Config[schema.LearningRate] = t.LearningRate
			}
		},
		"epochs": func(t *pipelines.TaskTrain) { t.Epochs++ },
	} {
		task := p.task()
		change(task.Train)
		a := p.complete(task)
		p.compareApplied(task, a)
		if bytes.Equal(p.final(base), p.final(a)) {
			p.errorf("%s changed, the weights did not", name)
		}
	}
}

func checkUnknownField(p *probe) {
	task := p.task()
	set(&task, "optimizer.no_such_setting", 1.0)
	p.refused(task, "no_such_setting")
}

func checkUnsupported(p *probe) {
	without := maps.Clone(p.Unsupported)
	if without == nil {
		without = map[string]any{}
	}
	for _, f := range p.schema().Fields {
		if _, given := without[f.Name]; !given && p.unsupported(f) {
			if values := others(f, f.Default); len(values) > 0 {
				without[f.Name] = values[0]
			}
		}
	}
	if len(without) == 0 {
		p.skip("every field of this adapter works on the CPU")
	}
	for name, v := range without {
		task := p.task()
		set(&task, name, v)
		if c, ok := p.run(task).applied(); ok && c.Unsupported[name] != "" {
			continue // the runner, which reads it, stops the step
		}
		task = p.task()
		set(&task, name, v)
		p.refused(task, name)
	}
}

// refused: the step fails with cause config, names the field and trains nothing.
func (p *probe) refused(task pipelines.Task, word string) {
	a := p.run(task)
	r := a.result()
	if r.State != pipelines.StatusFailed || r.Cause != pipelines.CauseConfig || !strings.Contains(r.Error, word) || a.code == 0 {
		p.errorf("wanted a failed result with cause config that names %s; got exit code %d, state %q, cause %q, error %q", word, a.code, r.State, r.Cause, r.Error)
	}
	for _, e := range a.events {
		if e.Checkpoint != nil {
			p.errorf("a refused training announced a checkpoint")
			break
		}
	}
}
