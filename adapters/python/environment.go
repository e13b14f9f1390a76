package python

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
	platformsdk "github.com/trainwright/trainwright/sdk/python"
)

// EnvPython names one interpreter for the steps of every adapter, in place of
// an environment for each.
const EnvPython = "RUNNER_PYTHON"

// Environment is the virtual environment of one adapter and its requirements.
type Environment struct {
	Adapter      string
	Requirements Requirements
	Host         Host
}

// marker is the file that a whole environment has: it is written last.
const marker = "trainwright.json"

// made is what the marker says, for people.
type made struct {
	Adapter      string    `json:"adapter"`
	Requirements string    `json:"requirements"` // hash
	SDK          string    `json:"sdk"`
	Created      time.Time `json:"created"`
	Packages     []string  `json:"packages"` // as installed
}

// Dir is where the environment lies.
func (e Environment) Dir() string {
	sum := sha256.Sum256([]byte(e.Requirements.Hash + "\n" + platformsdk.Requirements))
	return e.Host.dir("envs", e.Adapter+"-"+hex.EncodeToString(sum[:6]))
}

// Interpreter returns the Python that runs the adapter, or an error that says
// which command makes it.
func (e Environment) Interpreter() (string, error) {
	if shared, _ := e.Host.lookup(EnvPython); shared != "" {
		path, err := exec.LookPath(shared)
		if err != nil {
			return "", pipelines.Errorf(pipelines.CodeNotFound, "%s names %s, which cannot be run: %w", EnvPython, shared, err)
		}
		return path, nil
	}
	if _, err := os.Stat(filepath.Join(e.Dir(), marker)); err != nil {
		return "", pipelines.Errorf(pipelines.CodeNotFound,
			"the Python environment of adapter %q is not on this machine; make it with: runner init (or set %s to a Python that has its packages)", e.Adapter, EnvPython)
	}
	return filepath.Join(e.Dir(), "bin", "python"), nil
}

// Make creates the environment, if it is not there. Several processes may ask
// for it at once: one makes it, the others wait.
func (e Environment) Make(ctx context.Context, o adapters.PrepareOptions) error {
	if _, err := e.Interpreter(); err == nil {
		return nil
	}
	if shared, _ := e.Host.lookup(EnvPython); shared != "" {
		_, err := e.Interpreter()
		return err
	}
	dir := e.Dir()
	lock, err := waitLock(ctx, dir+".lock")
	if err != nil {
		return fmt.Errorf("environment of adapter %q: %w", e.Adapter, err)
	}
	defer lock.Close()
	if _, err := e.Interpreter(); err == nil {
		return nil // made meanwhile
	}
	if err := os.RemoveAll(dir); err != nil { // half of one, from a time when this was cut short
		return err
	}
	tell := o.Tell
	if tell == nil {
		tell = func(string) {}
	}
	tell(fmt.Sprintf("Making the Python environment of adapter %q in %s", e.Adapter, dir))
	if err := e.create(ctx, dir); err != nil {
		return err
	}
	if err := e.install(ctx, dir, o); err != nil {
		return err
	}
	return e.seal(ctx, dir)
}

// waitLock takes a lock folder's lock, which ends with its holder.
func waitLock(ctx context.Context, dir string) (*spool.Lock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for {
		lock, ok, err := spool.TryLock(dir)
		if ok || err != nil {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (e Environment) create(ctx context.Context, dir string) error {
	if uv, err := exec.LookPath("uv"); err == nil {
		if out, err := run(ctx, uv, "venv", "--quiet", "--python", ">=3.11", dir); err != nil {
			return e.failed("uv could not make it", out, err)
		}
		return nil
	}
	base, err := findPython(ctx)
	if err != nil {
		return pipelines.Errorf(pipelines.CodeNotFound, "adapter %q: %w", e.Adapter, err)
	}
	if out, err := run(ctx, base, "-m", "venv", dir); err != nil {
		return e.failed("python -m venv could not make it (on Debian: apt install python3-venv)", out, err)
	}
	return nil
}

// findPython finds a Python that the SDK runs on.
func findPython(ctx context.Context) (string, error) {
	for _, name := range []string{"python3", "python3.13", "python3.12", "python3.11", "python"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if _, err := run(ctx, path, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no Python 3.11 or newer is in PATH; install one, or uv, or set %s", EnvPython)
}

// install fetches the packages: those of the adapter and those of the SDK.
func (e Environment) install(ctx context.Context, dir string, o adapters.PrepareOptions) error {
	file := filepath.Join(dir, "requirements-sdk.txt")
	if err := os.WriteFile(file, []byte(platformsdk.Requirements), 0o644); err != nil {
		return err
	}
	own := e.Requirements.Path
	if own == "" && e.Requirements.Text != "" {
		own = filepath.Join(dir, "requirements.txt")
		if err := os.WriteFile(own, []byte(e.Requirements.Text), 0o644); err != nil {
			return err
		}
	}
	python := filepath.Join(dir, "bin", "python")
	argv := []string{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"}
	if uv, err := exec.LookPath("uv"); err == nil {
		argv = []string{uv, "pip", "install", "--quiet", "--python", python}
		if links, _ := e.Host.lookup("PIP_FIND_LINKS"); links != "" { // uv has a name of its own for it
			o.Wheels = append(strings.Fields(links), o.Wheels...)
		}
	}
	argv = append(argv, "-r", file)
	if own != "" {
		argv = append(argv, "-r", own)
	}
	for _, folder := range o.Wheels {
		argv = append(argv, "--find-links", folder)
	}
	if o.Offline {
		argv = append(argv, "--no-index")
	}
	if out, err := run(ctx, argv[0], argv[1:]...); err != nil {
		return e.notInstalled(out, err, o)
	}
	return nil
}

// seal lists what is installed and marks the environment as whole.
func (e Environment) seal(ctx context.Context, dir string) error {
	out, err := run(ctx, filepath.Join(dir, "bin", "python"), "-c",
		"import importlib.metadata as m; print('\\n'.join(sorted(f'{d.name}=={d.version}' for d in m.distributions())))")
	if err != nil {
		return e.failed("its Python does not run", out, err)
	}
	text, err := json.MarshalIndent(made{Adapter: e.Adapter, Requirements: e.Requirements.Hash, SDK: platformsdk.Version(),
		Created: time.Now().UTC(), Packages: strings.Fields(out)}, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, marker), append(text, '\n'), 0o644)
}

func (e Environment) failed(what, out string, err error) error {
	return pipelines.Errorf(pipelines.CodeUnavailable, "the Python environment of adapter %q: %s: %w\n%s", e.Adapter, what, err, lastLines(out, 10))
}

// run runs a command to its end and returns what it printed.
func run(ctx context.Context, name string, args ...string) (string, error) {
	var out bytes.Buffer
	c := exec.CommandContext(ctx, name, args...)
	c.Stdout, c.Stderr = &out, &out
	c.WaitDelay = 5 * time.Second
	err := c.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return out.String(), err
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
