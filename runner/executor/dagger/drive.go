package dagger

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	sdk "dagger.io/dagger"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner/driver"
	"github.com/trainwright/trainwright/runner/executor/dagger/relay"
)

// engineLog is where the engine's own words go, in the attempt folder.
const engineLog = "engine.log"

// Drive is the client of one attempt: a process of its own session that holds
// the attempt's lock, has the engine run the container of container.json, and
// takes home what the step in it writes. On SIGTERM it asks the step to stop.
// It returns the process's exit code: that of the step.
func Drive(ctx context.Context, specPath string) int {
	code := 0
	return driver.Run(ctx, func(ctx, asked context.Context) (err error) {
		code, err = drive(ctx, asked, specPath)
		return err
	}, func(err error) int {
		if err == nil {
			return code
		}
		fmt.Fprintln(os.Stderr, "Error:", err)
		n := note{Cause: pipelines.CauseInfrastructure, Message: explain(err)}
		if c := pipelines.CodeOf(err); c == pipelines.CodeInvalid || c == pipelines.CodeNotFound || needsChange(err) {
			n.Cause = pipelines.CauseConfig
		}
		if err := durable.WriteJSON(filepath.Join(filepath.Dir(specPath), noteFile), n, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "Error:", err)
		}
		return max(code, spool.ExitFailed)
	})
}

func drive(ctx, asked context.Context, specPath string) (int, error) {
	s, err := readSpec(specPath)
	if err != nil {
		return 0, err
	}
	log, err := os.OpenFile(filepath.Join(s.AttemptDir, engineLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	d := &attempt{spec: s, secrets: driver.Secrets(s.Secrets), path: specPath, asked: asked, log: log}
	// Until the step runs, to stop is to give up at once.
	starting, giveUp := context.WithCancel(ctx)
	defer giveUp()
	d.abort = giveUp
	defer context.AfterFunc(asked, d.stop)()
	client, conn, err := connect(starting, log)
	if err != nil {
		return d.cancelled(err)
	}
	d.client, d.conn = client, conn
	code, err := d.run(starting)
	if cerr := client.Close(); cerr != nil {
		fmt.Fprintln(log, "close:", cerr) // the step has ended
	}
	if err != nil {
		return d.cancelled(err)
	}
	return code, nil
}

// attempt is one at work.
type attempt struct {
	spec    spec
	path    string // of container.json
	secrets map[string]string
	client  *sdk.Client
	conn    *traced
	home    atomic.Pointer[relay.Home] // once the container is asked for
	asked   context.Context            // ends when the step is to stop
	abort   func()
	log     io.Writer
}

// stop asks the step to stop. While there is none yet, and to a step block,
// which has no ear, it is the end at once.
func (d *attempt) stop() {
	if h := d.home.Load(); h != nil {
		h.Stop()
		return
	}
	d.abort()
}

// cancelled turns the error of a step that was asked to stop before it began
// into its exit code.
func (d *attempt) cancelled(err error) (int, error) {
	if d.asked.Err() != nil && errors.Is(err, context.Canceled) {
		return spool.ExitCancelled, nil
	}
	return 0, err
}

func (d *attempt) run(ctx context.Context) (int, error) {
	b := &builder{client: d.client, spec: d.spec, secrets: d.secrets, images: map[string]string{}}
	if d.spec.Kind == pipelines.KindStep {
		return d.command(ctx, b)
	}
	token := make([]byte, 16)
	if _, err := rand.Read(token); err != nil {
		return 0, err
	}
	home, err := relay.NewHome(d.spec.Spec, hex.EncodeToString(token), os.Stdout)
	if err != nil {
		return 0, err
	}
	defer home.Close()
	socket, err := socketPath(d.spec.AttemptDir)
	if err != nil {
		return 0, err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return 0, fmt.Errorf("listen for the step's events: %w", err)
	}
	defer os.Remove(socket)
	go home.Serve(listener)
	c, err := b.step(ctx, d.path, socket, hex.EncodeToString(token))
	if err != nil {
		return 0, err
	}
	if err := durable.WriteJSON(filepath.Join(d.spec.AttemptDir, noteFile), note{Images: b.images}, 0o644); err != nil {
		return 0, err
	}
	d.home.Store(home)
	if d.asked.Err() != nil {
		return 0, context.Canceled
	}
	c, err = c.Sync(ctx)
	var killed *sdk.ExecError
	if errors.As(err, &killed) { // by a signal: to the engine that is no exit code
		if done := home.Done(); done != nil {
			return done.Code, nil
		}
		return killed.ExitCode, nil // and the relay with it
	}
	if err != nil {
		return 0, err
	}
	code, err := c.ExitCode(ctx)
	if err != nil {
		return 0, err
	}
	return d.ended(ctx, home, c, code, b.images)
}

// ended tells how the container's end is to be understood.
func (d *attempt) ended(ctx context.Context, home *relay.Home, c *sdk.Container, code int, images map[string]string) (int, error) {
	done := home.Done()
	if done != nil && done.Error == "" {
		return code, nil
	}
	n := note{Images: images}
	switch {
	case done != nil:
		n.Cause, n.Message = pipelines.CauseConfig, "the step could not be started in its container: "+done.Error
	default:
		if home.Heard() {
			if err := d.backfill(ctx, home, c); err != nil {
				fmt.Fprintln(d.log, "back-fill:", err) // what came before it is home
			}
			return code, nil
		}
		said, err := c.CombinedOutput(ctx)
		if err != nil {
			return 0, err
		}
		fmt.Print(said)
		n.Cause = pipelines.CauseConfig
		n.Message = fmt.Sprintf("this program (%s) could not work in the container (exit code %d); the image needs a C library as new as this machine's", d.spec.Program, code)
	}
	return code, durable.WriteJSON(filepath.Join(d.spec.AttemptDir, noteFile), n, 0o644)
}

// backfill takes home the events that the relay did not bring, from the
// spool as the container left it.
func (d *attempt) backfill(ctx context.Context, home *relay.Home, c *sdk.Container) error {
	tmp, err := os.MkdirTemp(d.spec.AttemptDir, ".export-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	to := filepath.Join(tmp, spool.EventsFile)
	if _, err := c.File(filepath.Join(d.spec.AttemptDir, spool.EventsFile)).Export(ctx, to); err != nil {
		return err
	}
	lines, err := os.ReadFile(to)
	if err != nil {
		return err
	}
	return home.Append(lines)
}

// socketPath is a short name in a folder that is this user's alone: a unix
// socket's path has 107 bytes at most.
func socketPath(attemptDir string) (string, error) {
	base := os.Getenv("XDG_RUNTIME_DIR")
	name := "trainwright"
	if base == "" || len(base) > 60 {
		base, name = os.TempDir(), fmt.Sprintf("trainwright-%d", os.Getuid())
	}
	dir := filepath.Join(base, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm() != 0o700 || ok && int(st.Uid) != os.Getuid() {
		return "", pipelines.Errorf(pipelines.CodeInvalid, "%s must be a folder of this user alone (mode 0700), and is not; remove it", dir)
	}
	if err := removeDead(dir); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(attemptDir))
	path := filepath.Join(dir, hex.EncodeToString(sum[:8])+".sock")
	if len(path) > 107 {
		return "", pipelines.Errorf(pipelines.CodeInvalid, "the path %s is too long for a socket; set XDG_RUNTIME_DIR to a shorter folder", path)
	}
	return path, nil
}

// removeDead removes the sockets of clients that were killed.
func removeDead(dir string) error {
	list, err := filepath.Glob(filepath.Join(dir, "*.sock"))
	if err != nil {
		return err
	}
	for _, p := range list {
		c, err := net.DialTimeout("unix", p, time.Second)
		if err == nil {
			_ = c.Close() // it lives
			continue
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// known are the errors of an engine of which it is known what to do.
var known = []struct {
	words  []string
	config bool // trying again does not help
	advice string
}{
	{[]string{"GPU support is not enabled"}, true,
		"The engine gives no GPUs to containers. Start it with _EXPERIMENTAL_DAGGER_GPU_SUPPORT=1, on a machine with the NVIDIA driver and the NVIDIA Container Toolkit."},
	{[]string{"nvidia-container", "runc delete container"}, true,
		"The engine could not give a GPU to the container. Install the NVIDIA Container Toolkit where the engine runs (`nvidia-container-cli info` must work there)."},
	{[]string{"failed to resolve image", "failed to resolve source metadata", "pull access denied", "manifest unknown"}, true,
		"The image could not be had. Check its name, and that the engine's machine may read it."},
	{[]string{"engine is shutting down", "unexpected EOF", "connection reset", "connection refused"}, false,
		"The Dagger engine went away while the step ran."},
}

// explain adds what to do to the errors of an engine that are known.
func explain(err error) string {
	for _, k := range known {
		if slices.ContainsFunc(k.words, func(w string) bool { return strings.Contains(err.Error(), w) }) {
			return err.Error() + "\n" + k.advice
		}
	}
	return err.Error()
}

// needsChange reports that an error will come again until something is changed.
func needsChange(err error) bool {
	for _, k := range known {
		if slices.ContainsFunc(k.words, func(w string) bool { return strings.Contains(err.Error(), w) }) {
			return k.config
		}
	}
	return false
}

// Relay is what the program does inside the container; see package relay.
func Relay(ctx context.Context, specPath string) int {
	s, err := readSpec(specPath)
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		return relay.ExitRelay
	}
	return relay.Run(ctx, s.Spec)
}
