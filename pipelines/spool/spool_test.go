package spool_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

func message(text string) pipelines.Event {
	return pipelines.Event{Message: &pipelines.Message{Level: "info", Text: text}}
}

func readAll(t *testing.T, r *spool.Reader) (events []pipelines.Event, bad []*spool.LineError) {
	t.Helper()
	for {
		got, err := r.Next()
		events = append(events, got...)
		var line *spool.LineError
		if errors.As(err, &line) {
			bad = append(bad, line)
		} else if err != nil {
			t.Fatal(err)
		} else if len(got) == 0 {
			return events, bad
		}
	}
}

func TestWriterContinuesAfterATornLine(t *testing.T) {
	dir := t.TempDir()
	w, err := spool.NewWriter(dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := w.Emit(message(fmt.Sprint("first ", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, spool.EventsFile)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"v":1,"attempt":2,"seq":4,"ti`); err != nil {
		t.Fatal(err)
	}
	f.Close()

	r := spool.NewReader(path, 2, 0)
	if events, bad := readAll(t, r); len(events) != 3 || len(bad) != 0 {
		t.Fatalf("read %d events and %d bad lines before the torn one", len(events), len(bad))
	}
	if w, err = spool.NewWriter(dir, 2); err != nil {
		t.Fatal(err)
	}
	if err := w.Emit(message("second")); err != nil {
		t.Fatal(err)
	}
	events, bad := readAll(t, r)
	if len(bad) != 0 || len(events) != 1 || events[0].Seq != 4 || events[0].Message.Text != "second" {
		t.Errorf("after continuing: events %+v, bad %v", events, bad)
	}
}

func TestReaderReportsBadLinesAndGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), spool.EventsFile)
	good := `{"v":1,"attempt":1,"seq":%d,"type":"message","message":{"level":"info","text":"x"},"new_field":1}` + "\n"
	text := fmt.Sprintf(good, 1) + "garbage\n\n" + strings.Replace(fmt.Sprintf(good, 2), `"attempt":1`, `"attempt":7`, 1) +
		strings.Repeat("x", spool.MaxLine+10) + "\n" + fmt.Sprintf(good, 3) +
		`{"v":2,"attempt":1,"seq":4,"type":"of_the_future"}` + "\n" + `{"v":1`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	events, bad := readAll(t, spool.NewReader(path, 1, 0))
	if len(bad) != 3 {
		t.Errorf("got %d bad lines, want garbage, wrong attempt and too long: %v", len(bad), bad)
	}
	var seqs []int64
	for _, e := range events {
		seqs = append(seqs, e.Seq)
	}
	if fmt.Sprint(seqs) != "[1 3 4]" {
		t.Errorf("got events %v", seqs)
	}
}

func TestWriterRefusesTooLongALine(t *testing.T) {
	w, err := spool.NewWriter(t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Emit(message(strings.Repeat("x", spool.MaxLine))); err == nil {
		t.Error("a line over the limit was accepted")
	}
	if err := w.Emit(message("ok")); err != nil || w.Seq() != 1 {
		t.Errorf("after a refused event: %v, seq %d", err, w.Seq())
	}
}

func TestTailHandsOverWhatWasWrittenBeforeTheEnd(t *testing.T) {
	dir := t.TempDir()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w, err := spool.NewWriter(dir, 1)
		if err != nil {
			t.Error(err)
			return
		}
		for i := range 500 {
			if err := w.Emit(message(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		}
	}()
	var got []pipelines.Event
	r := spool.NewReader(filepath.Join(dir, spool.EventsFile), 1, 0)
	err := r.Tail(context.Background(), time.Millisecond, done, func(e []pipelines.Event) error {
		got = append(got, e...)
		return nil
	}, nil)
	if err != nil || len(got) != 500 {
		t.Fatalf("got %d events, %v", len(got), err)
	}
	for i, e := range got {
		if e.Seq != int64(i+1) || e.Message.Text != fmt.Sprint(i) {
			t.Fatalf("event %d is %+v", i, e)
		}
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	if held, err := spool.Held(dir); held || err != nil {
		t.Fatalf("a folder never locked: held %v, %v", held, err)
	}
	l, ok, err := spool.TryLock(dir)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, ok, err := spool.TryLock(dir); ok || err != nil {
		t.Errorf("second lock: %v, %v", ok, err)
	}
	if held, err := spool.Held(dir); !held || err != nil {
		t.Errorf("held %v, %v", held, err)
	}
	l.Close()
	if held, err := spool.Held(dir); held || err != nil {
		t.Errorf("after release: held %v, %v", held, err)
	}
}

func TestRunStepAlwaysEndsWithAResult(t *testing.T) {
	cases := []struct {
		name  string
		step  spool.StepFunc
		code  int
		state pipelines.Status
		text  string
	}{
		{"completed", func(_ context.Context, _ pipelines.Task, emit func(pipelines.Event) error) error {
			return emit(pipelines.Event{Result: &pipelines.StepResult{State: pipelines.StatusCompleted}})
		}, spool.ExitCompleted, pipelines.StatusCompleted, ""},
		{"error", func(context.Context, pipelines.Task, func(pipelines.Event) error) error {
			return errors.New("boom")
		}, spool.ExitFailed, pipelines.StatusFailed, "boom"},
		{"panic", func(context.Context, pipelines.Task, func(pipelines.Event) error) error {
			panic("ouch")
		}, spool.ExitFailed, pipelines.StatusFailed, "ouch"},
		{"silent", func(context.Context, pipelines.Task, func(pipelines.Event) error) error {
			return nil
		}, spool.ExitFailed, pipelines.StatusFailed, "without a result"},
		{"stopped", func(ctx context.Context, _ pipelines.Task, _ func(pipelines.Event) error) error {
			return context.Canceled
		}, spool.ExitCancelled, pipelines.StatusCancelled, "signal"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path, err := spool.WriteTask(pipelines.Task{Version: pipelines.TaskVersion, Attempt: 1, AttemptDir: dir})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if c.name == "stopped" {
				cancel()
			}
			code := spool.RunStep(ctx, path, func(pipelines.Task) (spool.StepFunc, error) { return c.step, nil })
			events, _ := readAll(t, spool.NewReader(filepath.Join(dir, spool.EventsFile), 1, 0))
			last := events[len(events)-1].Result
			if code != c.code || last == nil || last.State != c.state || !strings.Contains(last.Error, c.text) {
				t.Errorf("exit code %d, result %+v", code, last)
			}
		})
	}
}

func TestReadTaskRefusesANewerVersion(t *testing.T) {
	path, err := spool.WriteTask(pipelines.Task{Version: pipelines.TaskVersion + 1, AttemptDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := spool.ReadTask(path); pipelines.CodeOf(err) != pipelines.CodeInvalid {
		t.Errorf("got %v", err)
	}
}
