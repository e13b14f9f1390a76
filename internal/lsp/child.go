package lsp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/trainwright/trainwright/hclspec"
)

// patience is how long a child may take for an answer. It bounds what it
// spends by itself; this is for one that hangs.
const patience = 20 * time.Second

// child answers questions one after the other in a process, which is started
// when it is needed.
type child struct {
	life    context.Context // its end ends the process
	command []string
	env     []string
	stderr  io.Writer
	turn    chan struct{} // holds one value while nobody asks

	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

func newChild(life context.Context, command, env []string, stderr io.Writer) *child {
	c := &child{life: life, command: command, env: env, stderr: stderr, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// ask puts a question. A child that ends over it is told as a diagnostic; an
// error says that none can be started.
func (c *child) ask(ctx context.Context, q Question) (Reply, error) {
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return Reply{}, ctx.Err()
	}
	for used := c.cmd != nil; ; used = false {
		if c.cmd == nil {
			if err := c.start(); err != nil {
				return Reply{}, err
			}
		}
		r, err := c.exchange(q)
		if err == nil {
			return r, nil
		}
		c.stop()
		if used { // the question before may have ended it
			continue
		}
		return Reply{Diagnostics: []hclspec.Diagnostic{{Severity: "error", Summary: "Evaluation takes too much",
			Detail: fmt.Sprintf("The process that reads the pipeline ended over it (%s). Simplify what you wrote last.", err)}}}, nil
	}
}

func (c *child) exchange(q Question) (r Reply, err error) {
	cmd := c.cmd
	kill := func() { _ = cmd.Process.Kill() }
	defer time.AfterFunc(patience, kill).Stop()
	defer context.AfterFunc(c.life, kill)()
	if err = json.NewEncoder(c.in).Encode(q); err == nil {
		err = c.out.Decode(&r)
	}
	return r, err
}

func (c *child) start() error {
	cmd := exec.Command(c.command[0], c.command[1:]...)
	cmd.Env, cmd.Stderr = c.env, c.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("starting %s: %w", c.command[0], err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("starting %s: %w", c.command[0], err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", c.command[0], err)
	}
	c.cmd, c.in, c.out = cmd, in, json.NewDecoder(out)
	return nil
}

// stop ends the process.
func (c *child) stop() {
	if c.cmd == nil {
		return
	}
	_ = c.in.Close()
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait() // how a process ends that is not needed any more says nothing
	c.cmd = nil
}

// end ends the process for good: whoever waits for an answer gets none.
func (c *child) end() {
	<-c.turn
	c.stop()
}
