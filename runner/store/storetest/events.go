package storetest

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func testEventsOnce(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	newRun(t, s, "r")
	batch := []pipelines.Event{metric(1, 1, 1, 0.5), metric(1, 2, 2, 0.4), metric(1, 2, 2, 0.4)}
	if n := must(s.AppendEvents(ctx, "r", batch))(t); n != 2 {
		t.Errorf("%d new events, want 2", n)
	}
	if n := must(s.AppendEvents(ctx, "r", append(batch, metric(1, 3, 3, 0.3))))(t); n != 1 {
		t.Errorf("%d new events, want 1", n)
	}
	got := must(s.Events(ctx, "r", runner.EventID{}, 0))(t)
	if len(got) != 3 || !reflect.DeepEqual(got[1], batch[1]) {
		t.Errorf("events: %+v", got)
	}
	if got := must(s.Events(ctx, "r", runner.EventID{Attempt: 1, Seq: 1}, 1))(t); len(got) != 1 || got[0].Seq != 2 {
		t.Errorf("after seq 1: %+v", got)
	}
	_, err := s.AppendEvents(ctx, "none", batch)
	wantCode(t, err, pipelines.CodeNotFound)
	// A batch with a bad event leaves nothing behind.
	_, err = s.AppendEvents(ctx, "r", []pipelines.Event{metric(1, 9, 9, 1), metric(1, 0, 1, 1)})
	wantCode(t, err, pipelines.CodeInvalid)
	if got := must(s.Events(ctx, "r", runner.EventID{}, 0))(t); len(got) != 3 {
		t.Errorf("a failed batch left %d events", len(got)-3)
	}
}

func testEventsRows(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	newRun(t, s, "r")
	artifact := pipelines.Artifact{Name: "model.onnx", Path: "p", SHA256: "x", Size: 3}
	must(s.AppendEvents(ctx, "r", []pipelines.Event{
		event(1, 1, pipelines.Event{Message: &pipelines.Message{Level: "info", Text: "one"}}),
		event(1, 2, pipelines.Event{Progress: &pipelines.Progress{Epoch: 1, Step: 5}}),
		event(1, 3, pipelines.Event{Validation: &pipelines.Validation{Epoch: 1, GlobalStep: 10, Split: "val", PrimaryName: "accuracy", PrimaryValue: 0.75,
			Loss: 0.5, Metrics: map[string]float64{"accuracy": 0.75}, PerClass: map[string]map[string]float64{"cat": {"f1": 0.5}}}}),
		event(1, 4, pipelines.Event{Checkpoint: &pipelines.Checkpoint{Name: "epoch_1", Path: "e1", Epoch: 1, GlobalStep: 10}}),
		event(1, 5, pipelines.Event{Checkpoint: &pipelines.Checkpoint{Name: "best", Path: "b", SHA256: "1", Epoch: 1, GlobalStep: 10}}),
		event(1, 6, pipelines.Event{Checkpoint: &pipelines.Checkpoint{Name: "best", Path: "b", SHA256: "2", Epoch: 2, GlobalStep: 20}}),
		event(1, 7, pipelines.Event{Message: &pipelines.Message{Level: "warning", Text: "two"}}),
		event(1, 8, pipelines.Event{Result: &pipelines.StepResult{State: pipelines.StatusCompleted, Artifacts: []pipelines.Artifact{artifact}}}),
	}))(t)
	must(s.AppendEvents(ctx, "r", []pipelines.Event{event(1, 1, pipelines.Event{Progress: &pipelines.Progress{Epoch: 0}})}))(t)

	if want, got := []string{"accuracy/val/@1.10=0.75#1", "f1/val/cat@1.10=0.5#1", "loss/val/@1.10=0.5#1"}, visible(t, s, "r"); !slices.Equal(got, want) {
		t.Errorf("metrics %v, want %v", got, want)
	}
	if v := must(s.Validations(ctx, "r"))(t); len(v) != 1 || v[0].PerClass["cat"]["f1"] != 0.5 {
		t.Errorf("validations %+v", v)
	}
	c := must(s.Checkpoints(ctx, "r"))(t)
	if len(c) != 2 || c[0].Name != "epoch_1" || c[1].SHA256 != "2" || c[1].RunID != "r" {
		t.Errorf("checkpoints %+v", c)
	}
	if a := must(s.Artifacts(ctx, "r"))(t); len(a) != 1 || a[0] != artifact {
		t.Errorf("artifacts %+v", a)
	}
	m := must(s.Messages(ctx, "r", 0))(t)
	if len(m) != 2 || m[0].Message.Text != "one" || m[1].Attempt != 1 || !m[1].Time.Equal(clock.Add(7e9)) {
		t.Errorf("messages %+v", m)
	}
	if m := must(s.Messages(ctx, "r", 1))(t); len(m) != 1 || m[0].Message.Text != "two" {
		t.Errorf("newest message %+v", m)
	}
	if r := must(s.Run(ctx, "r"))(t); r.Progress == nil || r.Progress.Epoch != 1 {
		t.Errorf("an older progress event replaced a newer one: %+v", r.Progress)
	}
}

func testNotFinite(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	newRun(t, s, "r")
	must(s.AppendEvents(ctx, "r", []pipelines.Event{
		metric(1, 1, 1, math.NaN()), metric(1, 2, 2, math.Inf(1)), metric(1, 3, 3, math.Inf(-1)), metric(1, 4, 4, math.MaxFloat64), metric(1, 5, 5, 5e-324),
	}))(t)
	rows := must(s.Metrics(ctx, runner.MetricFilter{RunID: "r"}))(t)
	if len(rows) != 5 || !math.IsNaN(rows[0].Value) || !math.IsInf(rows[1].Value, 1) || !math.IsInf(rows[2].Value, -1) ||
		rows[3].Value != math.MaxFloat64 || rows[4].Value != 5e-324 {
		t.Errorf("rows %+v", rows)
	}
}

func testSuperseded(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	newRun(t, s, "r")
	checkpoint := func(attempt int, seq, step int64) pipelines.Event {
		return event(attempt, seq, pipelines.Event{Checkpoint: &pipelines.Checkpoint{Name: "latest", GlobalStep: step, SHA256: fmt.Sprint(attempt)}})
	}
	validation := func(attempt int, seq, step int64) pipelines.Event {
		return event(attempt, seq, pipelines.Event{Validation: &pipelines.Validation{Split: "val", GlobalStep: step, Loss: float64(attempt)}})
	}
	must(s.AppendEvents(ctx, "r", []pipelines.Event{
		metric(1, 1, 1, 1), metric(1, 2, 2, 1), checkpoint(1, 3, 2), metric(1, 4, 3, 1), validation(1, 5, 4), checkpoint(1, 6, 4),
	}))(t)
	must(s.AppendEvents(ctx, "r", []pipelines.Event{resumed(2, 1, 2)}))(t)
	if got := visible(t, s, "r"); len(got) != 2 {
		t.Errorf("after a resume at step 2: %v", got)
	}
	if v := must(s.Validations(ctx, "r"))(t); len(v) != 0 {
		t.Errorf("validations beyond the resume point are visible: %+v", v)
	}
	if c := must(s.Checkpoints(ctx, "r"))(t); len(c) != 1 || c[0].GlobalStep != 2 {
		t.Errorf("checkpoints after a resume: %+v", c)
	}
	must(s.AppendEvents(ctx, "r", []pipelines.Event{metric(2, 2, 3, 2), validation(2, 3, 4), checkpoint(2, 4, 4)}))(t)
	want := []string{"loss/train/@1.1=1#1", "loss/train/@1.2=1#1", "loss/train/@1.3=2#2", "loss/val/@0.4=2#2"}
	if got := visible(t, s, "r"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	all := must(s.Metrics(ctx, runner.MetricFilter{RunID: "r", IncludeSuperseded: true, Name: "loss", Split: "train"}))(t)
	if len(all) != 4 || !all[2].Superseded || all[3].Superseded {
		t.Errorf("with superseded rows: %+v", all)
	}
	// An attempt that found no checkpoint begins anew, and says so or not.
	must(s.AppendEvents(ctx, "r", []pipelines.Event{metric(3, 1, 1, 3)}))(t)
	if got := visible(t, s, "r"); !slices.Equal(got, []string{"loss/train/@1.1=3#3"}) {
		t.Errorf("after a new beginning: %v", got)
	}
}

// testAnyOrder files random histories of crashes and resumes in the order in
// which they happened, and again shuffled, repeated and cut into other
// batches: the same rows must be seen.
func testAnyOrder(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		a, b := fmt.Sprintf("a%d", n), fmt.Sprintf("b%d", n)
		newRun(t, s, a)
		newRun(t, s, b)
		history := drawHistory(rt)
		for _, e := range history {
			must(s.AppendEvents(ctx, a, []pipelines.Event{e}))(t)
		}
		mixed := append(slices.Clone(history), rapid.SliceOfN(rapid.SampledFrom(history), 0, 5).Draw(rt, "repeats")...)
		mixed = rapid.Permutation(mixed).Draw(rt, "order")
		for len(mixed) > 0 {
			k := rapid.IntRange(1, len(mixed)).Draw(rt, "batch")
			must(s.AppendEvents(ctx, b, mixed[:k]))(t)
			mixed = mixed[k:]
		}
		want, got := visible(t, s, a), visible(t, s, b)
		if !slices.Equal(want, got) {
			rt.Fatalf("history %s\nin order: %v\nshuffled: %v", show(history), want, got)
		}
		if model := model(history); !slices.Equal(want, model) {
			rt.Fatalf("history %s\nstore: %v\nmodel: %v", show(history), want, model)
		}
		checkKeys(rt, want)
	})
}

// drawHistory is a training of some steps that is killed and resumed.
func drawHistory(rt *rapid.T) []pipelines.Event {
	var history []pipelines.Event
	step := int64(0)
	for attempt := range rapid.IntRange(1, 4).Draw(rt, "attempts") {
		seq := int64(0)
		add := func(f func(int, int64) pipelines.Event) {
			seq++
			history = append(history, f(attempt+1, seq))
		}
		if attempt > 0 {
			step = rapid.Int64Range(0, step).Draw(rt, "resume")
			if step > 0 || rapid.Bool().Draw(rt, "says so") {
				add(func(a int, q int64) pipelines.Event { return resumed(a, q, step) })
			}
		}
		for range rapid.IntRange(1, 4).Draw(rt, "steps") {
			step++
			add(func(a int, q int64) pipelines.Event { return metric(a, q, step, float64(100*a)+float64(q)) })
		}
	}
	return history
}

// model says what must be seen, in the plainest way: each attempt cuts off
// what lies beyond the point from which it goes on.
func model(history []pipelines.Event) []string {
	seen := map[int64]pipelines.Event{}
	attempt := 1
	for _, e := range history {
		if e.Attempt != attempt {
			attempt = e.Attempt
			from := int64(0)
			if e.Resumed != nil {
				from = e.Resumed.GlobalStep
			}
			for step := range seen {
				if step > from {
					delete(seen, step)
				}
			}
		}
		if e.Metrics != nil {
			seen[e.Metrics.GlobalStep] = e
		}
	}
	steps := []int64{}
	for step := range seen {
		steps = append(steps, step)
	}
	slices.Sort(steps)
	out := []string{}
	for _, step := range steps {
		e := seen[step]
		out = append(out, fmt.Sprintf("loss/train/@%d.%d=%v#%d", e.Metrics.Epoch, step, e.Metrics.Values["loss"], e.Attempt))
	}
	return out
}

func checkKeys(rt *rapid.T, rows []string) {
	seen := map[string]bool{}
	for _, r := range rows {
		key, _, _ := strings.Cut(r, "=")
		if seen[key] {
			rt.Fatalf("two visible rows of key %s in %v", key, rows)
		}
		seen[key] = true
	}
}

func show(history []pipelines.Event) string {
	var b strings.Builder
	for _, e := range history {
		if e.Resumed != nil {
			fmt.Fprintf(&b, " [%d from %d]", e.Attempt, e.Resumed.GlobalStep)
		} else {
			fmt.Fprintf(&b, " %d:%d", e.Attempt, e.Metrics.GlobalStep)
		}
	}
	return b.String()
}

func testDownSample(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	newRun(t, s, "r")
	var batch []pipelines.Event
	for i := range int64(1000) {
		v := math.Sin(float64(i) / 50)
		switch i {
		case 333:
			v = 40
		case 666:
			v = math.NaN()
		}
		batch = append(batch, metric(1, i+1, i, v))
	}
	must(s.AppendEvents(ctx, "r", batch))(t)
	for _, n := range []int{1, 2, 3, 50, 5000} {
		rows := must(s.Metrics(ctx, runner.MetricFilter{RunID: "r", MaxPoints: n}))(t)
		if len(rows) > n || len(rows) < min(n, 1000)-2 || rows[len(rows)-1].GlobalStep != 999 || n > 1 && rows[0].GlobalStep != 0 {
			t.Errorf("max %d points: %d rows", n, len(rows))
		}
		peak := slices.ContainsFunc(rows, func(r runner.MetricRow) bool { return r.Value == 40 })
		nan := slices.ContainsFunc(rows, func(r runner.MetricRow) bool { return math.IsNaN(r.Value) })
		if n >= 50 && (!peak || !nan) {
			t.Errorf("max %d points: the peak (%v) or the NaN (%v) is lost", n, peak, nan)
		}
	}
}

func testHostileText(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	newRun(t, s, "r")
	texts := []string{`'; DROP TABLE runs; --`, `"quoted" % _ \`, "új \u2028 日本 🙂", strings.Repeat("x", 1<<20), "tab\tline\nend"}
	for i, text := range texts {
		must(s.AppendEvents(ctx, "r", []pipelines.Event{
			event(1, int64(2*i+1), pipelines.Event{Message: &pipelines.Message{Level: "info", Text: text}}),
			event(1, int64(2*i+2), pipelines.Event{Metrics: &pipelines.Metrics{Split: text, Values: map[string]float64{text: 1}}}),
		}))(t)
		if rows := must(s.Metrics(ctx, runner.MetricFilter{RunID: "r", Name: text, Split: text}))(t); len(rows) != 1 || rows[0].Name != text {
			t.Errorf("%.30q: %d metric rows", text, len(rows))
		}
	}
	for i, m := range must(s.Messages(ctx, "r", 0))(t) {
		if m.Message.Text != texts[i] {
			t.Errorf("message %d came back as %.40q", i, m.Message.Text)
		}
	}
}

// testConcurrent lets several openers of one state write and read at once.
func testConcurrent(t *testing.T, open Open) {
	ctx := context.Background()
	stores := []runner.Store{open(t), open(t), open(t)}
	newRun(t, stores[0], "r")
	var wg sync.WaitGroup
	for i := range 6 {
		s := stores[i%len(stores)]
		wg.Go(func() {
			for j := range int64(20) {
				// All report the same events: each must be filed once.
				if _, err := s.AppendEvents(ctx, "r", []pipelines.Event{metric(1, j+1, j, float64(j))}); err != nil {
					t.Error(err)
					return
				}
				if _, err := s.CreateRun(ctx, pipelines.Run{ID: fmt.Sprintf("%d-%d", i, j), Pipeline: "p"}); err != nil {
					t.Error(err)
					return
				}
				if _, err := s.Metrics(ctx, runner.MetricFilter{RunID: "r"}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := visible(t, stores[1], "r"); len(got) != 20 {
		t.Errorf("%d metric rows, want 20", len(got))
	}
	jobs := map[int64]bool{}
	for _, r := range must(stores[2].Runs(ctx, runner.RunFilter{}))(t) {
		jobs[r.JobID] = true
	}
	if len(jobs) != 121 {
		t.Errorf("%d distinct job ids, want 121", len(jobs))
	}
}
