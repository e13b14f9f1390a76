package dagger_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/dagger"
	"github.com/trainwright/trainwright/runner/executor/executortest"
)

// TestRealEngine runs the suite against the engine of the environment.
func TestRealEngine(t *testing.T) {
	c := realEngine(t)
	executortest.Run(t, executortest.Harness{
		New:     func(t *testing.T) runner.Executor { return newExecutor(t, c) },
		Program: []string{executable(t)}, Follower: []string{executable(t), "follow", c.Image},
		Slow:    time.Minute,
		Timeout: 20 * time.Second,
	})
}

// engines runs a test on the stand-in and on the engine of the environment.
// fresh makes an engine that knows nothing of what was before, where it can be had.
func engines(t *testing.T, test func(t *testing.T, c dagger.Config, fresh func())) {
	t.Run("stand-in", func(t *testing.T) {
		fresh := func() { start(t) }
		fresh()
		test(t, dagger.Config{Image: dagger.DefaultImage}, fresh)
	})
	t.Run("real", func(t *testing.T) { test(t, realEngine(t), nil) })
}

// realEngine skips a test where no engine is named or none answers. The
// containers' base is a folder of this machine.
func realEngine(t *testing.T) dagger.Config {
	t.Helper()
	if os.Getenv(dagger.EnvSessionPort) == "" && os.Getenv(dagger.EnvRunnerHost) == "" {
		t.Skipf("no Dagger engine is named: set %s (and have dagger %s in PATH, or %s), or run this under `dagger run`",
			dagger.EnvRunnerHost, dagger.Version, dagger.EnvCLI)
	}
	for _, f := range dagger.Examine(context.Background(), 0) {
		if f.Help != "" {
			t.Skipf("%s; %s", f.Text, f.Help)
		}
	}
	return dagger.Config{Image: rootfs(t)}
}

// rootfs makes a base of this test program's libraries and a few commands.
func rootfs(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	libraries := regexp.MustCompile(`(/[^ ]+) \(0x`)
	programs := []string{executable(t)}
	for _, name := range []string{"sh", "sleep", "cat", "cp", "ls", "mkdir", "true"} {
		p, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("this machine lacks %s, of which the base is made", name)
		}
		put(t, p, filepath.Join(root, "bin", name))
		programs = append(programs, p)
	}
	for _, p := range programs {
		out, err := exec.Command("ldd", p).Output()
		if err != nil && !strings.Contains(string(out), "not a dynamic executable") {
			continue // static
		}
		for _, m := range libraries.FindAllStringSubmatch(string(out), -1) {
			put(t, m[1], filepath.Join(root, m[1]))
		}
	}
	for _, dir := range []string{"tmp", "proc", "dev", "sys", "etc", "run"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(root, "tmp"), 0o1777); err != nil {
		t.Fatal(err)
	}
	return root
}

func put(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
