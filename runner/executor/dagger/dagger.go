// Package dagger runs steps in containers of a Dagger engine.
//
// Each attempt has a process of its own on this machine, the client: it is
// started and followed by the local executor, holds the attempt's lock, and
// so outlives the runner, is adopted by a later one, and is stopped like any
// step. The client (Drive) asks the engine for the container and follows what
// the step in it does over a unix socket (package relay), which it writes
// into the attempt's folder. Files have the same paths in the container as
// outside, so that task.json and events mean the same on both sides.
//
// Beside the local executor's files the attempt folder has container.json
// (what was asked for) and client.json (what the client knows of the end).
package dagger

import (
	"context"
	"path/filepath"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/driver"
)

// Version is the version of Dagger that this package speaks.
const Version = "v0.21.8"

// Executor runs attempts in containers.
type Executor struct {
	Config Config
	// Host runs the client's process on this machine.
	Host runner.Executor
	// Program is this program's path. `PROGRAM container SPEC` must call Drive,
	// and `PROGRAM relay SPEC`, inside the container, Relay.
	Program string
	// Library returns the path of the ONNX Runtime library on this machine,
	// for steps that this program runs itself.
	Library func() (string, error)
	// LibraryVersion is the version of ONNX Runtime that is installed where a
	// step has GPUs.
	LibraryVersion string
}

var _ runner.Executor = (*Executor)(nil)

// Run starts, adopts or reads an attempt, as the interface says.
func (e *Executor) Run(ctx context.Context, job runner.Job, sink runner.Sink) (runner.Exit, error) {
	if err := e.driver().Prepare(job, func() (any, error) { return e.spec(job) }); err != nil {
		return runner.Exit{}, err
	}
	exit, err := e.Host.Run(ctx, e.driver().Job(job), sink)
	if err != nil {
		return exit, err
	}
	n, err := readNote(job.Task.AttemptDir)
	if err != nil {
		return exit, err
	}
	exit.Images = n.Images
	if exit.Message != "" && exit.Cause != pipelines.CauseTimeout && n.Message != "" { // it did not complete, and the client knows why
		exit.Cause, exit.Message = n.Cause, n.Message+"\n"+exit.Message
	}
	return exit, nil
}

// Cancel asks the step to stop and after the grace kills the client, with
// which the engine kills the container.
func (e *Executor) Cancel(ctx context.Context, job runner.Job) error {
	return e.Host.Cancel(ctx, e.driver().Job(job))
}

// Probe tells whether the attempt's client lives.
func (e *Executor) Probe(ctx context.Context, a pipelines.Attempt) (runner.Liveness, error) {
	return e.Host.Probe(ctx, a)
}

func (e *Executor) driver() driver.Driver {
	return driver.Driver{Program: e.Program, Command: "container", File: specFile}
}

const (
	specFile = "container.json"
	noteFile = "client.json"
)

// note is client.json: what only the client can know.
type note struct {
	Cause   pipelines.Cause   `json:"cause,omitempty"`
	Message string            `json:"message,omitempty"`
	Images  map[string]string `json:"images,omitempty"` // reference as written -> with its digest
}

func readNote(dir string) (note, error) {
	var n note
	_, err := durable.ReadJSON(filepath.Join(dir, noteFile), &n)
	return n, err
}
