package driver_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/driver"
)

func TestPreparedOnce(t *testing.T) {
	d := driver.Driver{Program: "/bin/runner", Command: "far", File: "far.json"}
	job := runner.Job{Task: pipelines.Task{AttemptDir: filepath.Join(t.TempDir(), "attempts", "1")}}
	path := filepath.Join(job.Task.AttemptDir, "far.json")
	broken := errors.New("cannot be")
	if err := d.Prepare(job, func() (any, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("what cannot be was prepared")
	}
	for _, v := range []string{"first", "second"} {
		if err := d.Prepare(job, func() (any, error) { return v, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "\"first\"\n" {
		t.Errorf("%q, %v: an attempt that may be at work was prepared again", b, err)
	}
}

// The step's variables and secrets are not the driver's own, nor those of the
// programs that it starts.
func TestSecretsAreApart(t *testing.T) {
	d := driver.Driver{Program: "/bin/runner", Command: "far", File: "far.json"}
	out := d.Job(runner.Job{Task: pipelines.Task{AttemptDir: "/run/attempts/1"}, Command: adapters.Command{Argv: []string{"step"}}, Grace: time.Second,
		Env: map[string]string{"LD_PRELOAD": "/x.so"}, Secrets: map[string]pipelines.Secret{"PATH": pipelines.NewSecret("hidden")}})
	if want := []string{"/bin/runner", "far", "/run/attempts/1/far.json"}; !reflect.DeepEqual(out.Command.Argv, want) || len(out.Env) > 0 || out.Grace != time.Second {
		t.Errorf("%+v", out)
	}
	path := os.Getenv("PATH")
	if len(out.Secrets) != 1 {
		t.Error(out.Secrets)
	}
	for name, v := range out.Secrets {
		t.Setenv(name, v.Reveal())
	}
	if got := driver.Secrets([]string{"PATH"}); got["PATH"] != "hidden" || os.Getenv("PATH") != path {
		t.Errorf("%q, and PATH is %q", got, os.Getenv("PATH"))
	}
	for name := range out.Secrets {
		if v, ok := os.LookupEnv(name); ok {
			t.Errorf("%s=%s is left for programs that are started", name, v)
		}
	}
}

// Who waits for the attempt's lock finds the note of its end.
func TestLockIsHeldUntilTheEnd(t *testing.T) {
	dir := t.TempDir()
	lock, ok, err := spool.TryLock(dir)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	fd, err := syscall.Dup(int(lock.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(spool.EnvLockFD, strconv.Itoa(fd))
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	held := func() bool {
		held, err := spool.Held(dir)
		return held || err != nil
	}
	broken := errors.New("broken")
	code := driver.Run(t.Context(), func(_, asked context.Context) error {
		if asked.Err() != nil {
			t.Error("asked to stop before anybody did")
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		<-asked.Done()
		return broken
	}, func(err error) int {
		if !errors.Is(err, broken) || !held() {
			t.Errorf("%v, held: %v", err, held())
		}
		return 7
	})
	if code != 7 || held() {
		t.Errorf("code %d; the lock is held: %v", code, held())
	}
}
