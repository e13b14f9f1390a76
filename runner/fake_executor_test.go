package runner_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// fakeProcess is an attempt as the fake executor knows it; it outlives runners.
type fakeProcess struct {
	mu     sync.Mutex
	events []pipelines.Event
	more   chan struct{} // closed and replaced when events grow or the process ends
	ended  bool
	exit   runner.Exit
	cancel context.CancelFunc
}

// script plays a step: it emits events and returns how the process ended.
type script func(ctx context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit

// fakeExecutor runs scripts as goroutines and obeys the contract of Executor.
type fakeExecutor struct {
	mu      sync.Mutex
	steps   map[string]*fakeProcess // by attempt folder
	play    script
	jobs    []runner.Job // in the order in which they were started
	unknown int          // probes to answer with unknown
}

func (e *fakeExecutor) Run(ctx context.Context, job runner.Job, sink runner.Sink) (runner.Exit, error) {
	p := e.process(job)
	for sent := 0; ; {
		p.mu.Lock()
		batch, ended, exit, more := slices.Clone(p.events[sent:]), p.ended, p.exit, p.more
		p.mu.Unlock()
		if len(batch) > 0 {
			if err := sink(ctx, batch); err != nil {
				return runner.Exit{}, err
			}
			sent += len(batch)
			continue
		}
		if ended {
			return exit, nil
		}
		select {
		case <-ctx.Done():
			return runner.Exit{}, ctx.Err()
		case <-more:
		}
	}
}

func (e *fakeExecutor) process(job runner.Job) *fakeProcess {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p, ok := e.steps[job.Task.AttemptDir]; ok {
		return p
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &fakeProcess{more: make(chan struct{}), cancel: cancel}
	e.steps[job.Task.AttemptDir] = p
	e.jobs = append(e.jobs, job)
	if f, err := os.Create(filepath.Join(job.Task.AttemptDir, "lock")); err == nil {
		f.Close()
	}
	play := e.play
	go func() {
		seq := int64(0)
		exit := play(ctx, job, func(ev pipelines.Event) {
			seq++
			ev.Version, ev.Attempt, ev.Seq, ev.Time = 1, job.Task.Attempt, seq, time.Now()
			p.grow(func() { p.events = append(p.events, ev) })
		})
		p.grow(func() { p.ended, p.exit = true, exit })
	}()
	return p
}

func (p *fakeProcess) grow(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.more)
	p.more = make(chan struct{})
}

func (e *fakeExecutor) Cancel(_ context.Context, job runner.Job) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p, ok := e.steps[job.Task.AttemptDir]; ok {
		p.cancel()
	}
	return nil
}

func (e *fakeExecutor) Probe(_ context.Context, at pipelines.Attempt) (runner.Liveness, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.unknown > 0 {
		e.unknown--
		return runner.Unknown, nil
	}
	p, ok := e.steps[at.Dir]
	if !ok {
		return runner.Ended, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return runner.Ended, nil
	}
	return runner.Alive, nil
}

func (e *fakeExecutor) started() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.jobs)
}
