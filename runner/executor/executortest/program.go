package executortest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
)

// Main is the step program. Call it first in TestMain: when the command line
// is "… executortest TASK COMMAND…" it does what the commands say, one after
// the other, and exits; otherwise it returns. Commands:
//
//	say:TEXT      a message event          env:NAME    a message with a variable's value
//	many:N        N message events         print:TEXT  a line on standard output
//	print-mb:N    N MB on standard output  sleep:DUR   wait, ended by SIGTERM
//	stubborn:DUR  wait, ignoring SIGTERM   fork:DUR    leave a child behind that sleeps
//	exit:CODE     exit without a result    signal:N    send N to itself
//	fail:CAUSE    a failed result          done        a completed result
//	garbage:TEXT  a line in the spool that is no event
//	keep:N        N checkpoints, of which the last two and the best stay, and artifacts
func Main() {
	args := os.Args[1:]
	if len(args) < 2 || args[0] != "executortest" {
		return
	}
	os.Exit(spool.RunStep(context.Background(), args[1], func(pipelines.Task) (spool.StepFunc, error) {
		return func(ctx context.Context, task pipelines.Task, emit func(pipelines.Event) error) error {
			for _, command := range args[2:] {
				name, arg, _ := strings.Cut(command, ":")
				if err := execute(ctx, task, emit, name, arg); err != nil {
					return err
				}
			}
			return nil
		}, nil
	}))
}

// Follow is a runner's process: it runs the job in a file with x, prints the
// text of each message event as it takes it in, and exits.
func Follow(x runner.Executor, path string) {
	var job runner.Job
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &job)
	}
	if err == nil {
		_, err = x.Run(context.Background(), job, func(_ context.Context, events []pipelines.Event) error {
			for _, e := range events {
				if e.Message != nil {
					fmt.Println(e.Message.Text)
				}
			}
			return nil
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func execute(ctx context.Context, task pipelines.Task, emit func(pipelines.Event) error, name, arg string) error {
	say := func(text string) error {
		return emit(pipelines.Event{Message: &pipelines.Message{Level: "info", Text: text}})
	}
	number, _ := strconv.Atoi(arg)
	pause, _ := time.ParseDuration(arg)
	switch name {
	case "say":
		return say(arg)
	case "env":
		return say(arg + "=" + os.Getenv(arg))
	case "many":
		for i := range number {
			if err := say(strconv.Itoa(i)); err != nil {
				return err
			}
		}
	case "print":
		fmt.Println(arg)
	case "print-mb":
		line := strings.Repeat("x", 1023) + "\n"
		for range number * 1024 {
			fmt.Print(line)
		}
	case "sleep":
		select {
		case <-ctx.Done():
			if err := say("stopping"); err != nil {
				return err
			}
			return ctx.Err()
		case <-time.After(pause):
		}
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		if err := say("stubborn"); err != nil {
			return err
		}
		time.Sleep(pause)
	case "fork":
		cmd := exec.Command("sleep", strconv.FormatFloat(pause.Seconds(), 'f', -1, 64))
		if err := cmd.Start(); err != nil {
			return err
		}
		return say(strconv.Itoa(cmd.Process.Pid))
	case "exit":
		os.Exit(number)
	case "signal":
		return errors.Join(syscall.Kill(os.Getpid(), syscall.Signal(number)), sleepForever())
	case "fail":
		return emit(pipelines.Event{Result: &pipelines.StepResult{State: pipelines.StatusFailed, Cause: pipelines.Cause(arg), Error: "told to fail"}})
	case "done":
		return emit(pipelines.Event{Result: &pipelines.StepResult{State: pipelines.StatusCompleted}})
	case "keep":
		return keep(task.RunDir, number, emit)
	case "garbage":
		f, err := os.OpenFile(task.AttemptDir+"/"+spool.EventsFile, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(arg + "\n")
		return errors.Join(err, f.Close())
	default:
		return fmt.Errorf("no command %q", name)
	}
	return nil
}

// keep makes checkpoints as trainings do; the second is the best.
func keep(runDir string, n int, emit func(pipelines.Event) error) error {
	dir := filepath.Join(runDir, "checkpoints")
	for i := 1; i <= n; i++ {
		name := fmt.Sprintf("epoch_%d", i)
		tmp := filepath.Join(dir, ".tmp-"+name)
		err := errors.Join(os.MkdirAll(filepath.Join(tmp, "deep"), 0o755), os.WriteFile(filepath.Join(tmp, "state"), []byte(name), 0o644),
			os.WriteFile(filepath.Join(tmp, "deep", "weights"), weights(i), 0o644), os.Rename(tmp, filepath.Join(dir, name)), link(dir, "latest", name))
		if i <= 2 {
			err = errors.Join(err, link(dir, "best", name))
		}
		if old := i - 2; old > 0 && old != 2 {
			gone := filepath.Join(dir, ".old")
			err = errors.Join(err, os.Rename(filepath.Join(dir, fmt.Sprintf("epoch_%d", old)), gone), os.RemoveAll(gone))
		}
		if err == nil {
			err = emit(pipelines.Event{Checkpoint: &pipelines.Checkpoint{Name: name, Path: filepath.Join(dir, name), Epoch: i}})
		}
		if err != nil {
			return err
		}
	}
	plots := filepath.Join(runDir, "artifacts", "plots")
	return errors.Join(os.MkdirAll(plots, 0o755), os.WriteFile(filepath.Join(plots, "loss.svg"), []byte("a plot"), 0o644),
		os.WriteFile(filepath.Join(runDir, "artifacts", "model.onnx"), []byte("a model"), 0o644))
}

func link(dir, name, to string) error {
	tmp := filepath.Join(dir, ".tmp-link")
	return errors.Join(os.Symlink(to, tmp), os.Rename(tmp, filepath.Join(dir, name)))
}

// weights are those of an epoch.
func weights(epoch int) []byte { return bytes.Repeat([]byte{byte(epoch)}, 3<<20+epoch) }

func sleepForever() error {
	time.Sleep(time.Minute)
	return nil
}
