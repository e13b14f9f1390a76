package dagger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// Finding is what Examine found: what is there, and what is missing with what to do.
type Finding struct {
	Text string
	Help string // "" = all is well
}

// Examine looks whether containers could be run: it finds the engine as a step
// would, asks for its version where that starts nothing, and looks for what
// GPUs in containers need on a machine that has any.
func Examine(ctx context.Context, gpus int) []Finding {
	out := []Finding{examineEngine(ctx)}
	if gpus > 0 {
		out = append(out, examineGPU(gpus))
	}
	return out
}

func examineEngine(ctx context.Context) Finding {
	named := os.Getenv(EnvSessionPort) != "" || os.Getenv(EnvRunnerHost) != ""
	if !named {
		return examineProgram(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client, _, err := connect(ctx, io.Discard)
	var v string
	if err == nil {
		v, err = client.Version(ctx)
		err = errors.Join(err, client.Close())
	}
	if err == nil {
		return Finding{Text: "engine " + v + " answers"}
	}
	text, _, told := strings.Cut(firstLine(err.Error()), "; "+install)
	if host := os.Getenv(EnvRunnerHost); host != "" && told && pipelines.CodeOf(err) == pipelines.CodeUnavailable {
		return Finding{Text: text, Help: fmt.Sprintf("start Dagger %s's engine at %s, which %s names, or unset that variable", Version, host, EnvRunnerHost)}
	}
	return Finding{Text: text, Help: install}
}

// examineProgram looks at the dagger program without letting it start an engine.
func examineProgram(ctx context.Context) Finding {
	program, err := findCLI()
	if err != nil {
		return Finding{Text: "none; only executor \"dagger\" needs it", Help: install}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	said, err := exec.CommandContext(ctx, program, "version").Output()
	f := strings.Fields(string(said)) // dagger v0.21.8 (…) linux/amd64
	if err != nil || len(f) < 2 {
		return Finding{Text: program + " does not tell its version", Help: install}
	}
	if !speaks(f[1]) {
		return Finding{Text: fmt.Sprintf("%s is %s, and this runner speaks %s", program, f[1], Version), Help: install}
	}
	for _, name := range []string{"docker", "podman", "nerdctl", "container"} {
		if p, err := exec.LookPath(name); err == nil {
			return Finding{Text: fmt.Sprintf("%s %s, starts its engine with %s", program, f[1], p)}
		}
	}
	return Finding{Text: fmt.Sprintf("%s %s, and nothing to start its engine with", program, f[1]),
		Help: "install Docker or Podman, or set " + EnvRunnerHost + " to the address of an engine (unix:///run/dagger/engine.sock, tcp://host:port)"}
}

func examineGPU(n int) Finding {
	for _, name := range []string{"nvidia-container-runtime-hook", "nvidia-ctk"} {
		if p, err := exec.LookPath(name); err == nil {
			return Finding{Text: fmt.Sprintf("%d GPU(s) for containers, by %s; the engine must run with _EXPERIMENTAL_DAGGER_GPU_SUPPORT=1", n, p)}
		}
	}
	return Finding{Text: fmt.Sprintf("%d GPU(s), and nothing that gives them to containers", n),
		Help: "install the NVIDIA Container Toolkit, and start the engine with _EXPERIMENTAL_DAGGER_GPU_SUPPORT=1"}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
