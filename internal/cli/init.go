package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/external"
	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func newInitCmd(a *app) *cobra.Command {
	var flags pipelineFlags
	var o adapters.PrepareOptions
	c := describe(&cobra.Command{
		Use:   "init [PATH]",
		Short: "Fetch what training needs and pin the adapters",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.initialize(c.Context(), a.pipelinePath(args), flags, o)
		},
	}, `
Obtains the ONNX Runtime library (once, into the user's cache, its SHA-256
checked; or set RUNNER_ORT_LIB). Makes a Python environment for each Python
adapter that the pipeline uses (with uv if it is there, else venv and pip;
RUNNER_PYTHON names one interpreter for them all instead). Describes adapters
of your own into .runner.schemas, and pins all adapters in .runner.lock.hcl.
Commit these. A folder without a pipeline is fine: then only the library is
fetched. Repeating it changes nothing.`, exitDone, exitError, exitCancelled)
	flags.register(c)
	registerPrepare(c, &o)
	return c
}

// initReport is `runner init --json`.
type initReport struct {
	ONNXRuntime string `json:"onnxruntime"` // path of the library
	Version     string `json:"onnxruntime_version"`
	// Described are the user's own adapters whose description was written.
	Described []string `json:"described,omitempty"`
	Lock      string   `json:"lock,omitempty"` // path of the lock file
	Written   bool     `json:"lock_written"`   // false when it said so already
}

func (a *app) initialize(ctx context.Context, path string, flags pipelineFlags, o adapters.PrepareOptions) error {
	library, err := a.fetchORT(ctx)
	if err != nil {
		return err
	}
	r := initReport{ONNXRuntime: library, Version: ort.Version}
	found, err := hclFiles(path, false)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		if r.Described, err = a.describeAdapters(ctx, path, flags, o); err != nil {
			return err
		}
		opts := a.options(flags)
		opts.Validate = true
		p, _, err := a.load(ctx, path, opts)
		if err != nil {
			return err
		}
		if err := a.prepareAdapters(ctx, p.Steps, o); err != nil {
			return err
		}
		r.Lock = filepath.Join(p.Dir, runner.LockFileName)
		if r.Written, err = a.pinAdapters(p, r.Lock); err != nil {
			return err
		}
	}
	return a.show(r, func(w io.Writer) {
		st := a.style(a.Stdout)
		fmt.Fprintf(w, "%s ONNX Runtime %s: %s\n", st.Green("✓"), r.Version, r.ONNXRuntime)
		for _, name := range r.Described {
			fmt.Fprintf(w, "%s wrote %s; commit it\n", st.Green("✓"), filepath.Join(external.SchemaDir, name+".json"))
		}
		switch {
		case r.Written:
			fmt.Fprintf(w, "%s wrote %s; commit it\n", st.Green("✓"), r.Lock)
		case r.Lock != "":
			fmt.Fprintf(w, "%s %s is up to date\n", st.Green("✓"), r.Lock)
		}
	})
}

// fetchORT obtains the library and says what it does while it takes time.
func (a *app) fetchORT(ctx context.Context) (string, error) {
	if path, err := ort.Find(); err == nil {
		return path, nil
	}
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		a.fetching(done)
	}()
	path, err := ort.Fetch(ctx)
	close(done)
	<-stopped
	return path, err
}

// fetching tells on stderr that a download goes on.
func (a *app) fetching(done <-chan struct{}) {
	started := time.Now()
	text := "Fetching ONNX Runtime " + ort.Version + " (about 28 MB)"
	if !isTerminal(a.Stderr) {
		if !a.json {
			fmt.Fprintln(a.Stderr, text+" …")
		}
		<-done
		return
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		fmt.Fprintf(a.Stderr, "\r\x1b[K%s … %s", text, view.Duration(time.Since(started).Round(time.Second)))
		select {
		case <-done:
			fmt.Fprint(a.Stderr, "\r\x1b[K")
			return
		case <-tick.C:
		}
	}
}

// pinAdapters writes the versions of the adapters in use into the lock file,
// beside what it holds, and reports whether it changed.
func (a *app) pinAdapters(p *pipelines.Pipeline, path string) (bool, error) {
	lock, _, err := runner.ReadLockFile(p.Dir)
	if err != nil {
		return false, err
	}
	pins := map[string]runner.AdapterPin{}
	for _, s := range p.Steps {
		if ad, ok := a.Adapters.Lookup(s.Adapter); ok {
			i := ad.Info()
			pins[i.Name] = runner.AdapterPin{Version: i.Version, Numerics: i.Numerics, Lock: i.Lock}
		}
	}
	lock.Adapters = pins
	text := lock.Format()
	if old, err := os.ReadFile(path); err == nil && string(old) == string(text) {
		return false, nil
	}
	return true, os.WriteFile(path, text, 0o644)
}
