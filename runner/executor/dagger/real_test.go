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

// TestRealEngine runs the suite against the engine of the environment, with a
// folder of this machine as the containers' base.
func TestRealEngine(t *testing.T) {
	if os.Getenv(dagger.EnvSessionPort) == "" && os.Getenv(dagger.EnvRunnerHost) == "" {
		t.Skipf("no Dagger engine is named: set %s (and have dagger %s in PATH, or %s), or run this under `dagger run`",
			dagger.EnvRunnerHost, dagger.Version, dagger.EnvCLI)
	}
	for _, f := range dagger.Examine(context.Background(), 0) {
		if f.Help != "" {
			t.Skipf("%s; %s", f.Text, f.Help)
		}
	}
	base := rootfs(t)
	executortest.Run(t, executortest.Harness{
		New:     func(t *testing.T) runner.Executor { return newExecutor(t, dagger.Config{Image: base}) },
		Program: []string{executable(t)},
		Slow:    time.Minute,
		Timeout: 20 * time.Second,
	})
}

// rootfs makes a base of this test program's libraries and a few commands.
func rootfs(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	libraries := regexp.MustCompile(`(/[^ ]+) \(0x`)
	programs := []string{executable(t)}
	for _, name := range []string{"sh", "sleep", "cp", "ls", "wc", "mkdir", "true"} {
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
