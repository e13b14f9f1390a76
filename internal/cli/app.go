package cli

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/internal/cli/view"
)

// app is what the commands share: streams, environment and the global flags.
type app struct {
	Config  // Adapters grows by those that a loaded pipeline declares
	env     map[string]string
	builtIn adapters.Registry // the adapters of this program

	chdir    string
	json     bool
	jsonInto string
	noColor  bool

	log      *slog.Logger
	redactor *redactor
	files    hclspec.Files // sources read so far, for snippets in messages
	streamed bool          // stdout carries JSON lines; an error is one of them
	json2    *os.File      // --json-into, open
	parsed   bool          // the flags are known
	junit    junitFile     // --junit, of the commands that have it

	source string // the loaded pipeline's name, or its folder's while it has none
}

func newApp(cfg Config) *app {
	a := &app{Config: cfg, builtIn: cfg.Adapters, env: map[string]string{}, redactor: &redactor{}, files: hclspec.Files{}}
	for _, kv := range cfg.Env {
		k, v, _ := strings.Cut(kv, "=")
		a.env[k] = v
	}
	a.log = newLogger(cfg.Stderr, a.env["RUNNER_LOG"], a.redactor)
	return a
}

// globalFlags are those of every command.
func (a *app) globalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&a.chdir, "chdir", "", "work in `DIR` instead of the current folder")
	f.BoolVar(&a.json, "json", false, "write JSON to standard output")
	f.StringVar(&a.jsonInto, "json-into", "", "write the JSON also into `FILE`")
	f.BoolVar(&a.noColor, "no-color", false, "no colours (NO_COLOR does the same)")
}

// start runs before every command, when flags are known.
func (a *app) start() error {
	a.parsed = true
	if a.chdir != "" {
		info, err := os.Stat(a.chdir)
		if err != nil {
			return usagef("--chdir: %w", err)
		}
		if !info.IsDir() {
			return usagef("--chdir: %s is not a folder", a.chdir)
		}
	}
	if a.jsonInto != "" {
		f, err := os.OpenFile(a.path(a.jsonInto), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
		if err != nil {
			return usagef("--json-into: %w", err)
		}
		a.json2 = f
	}
	return nil
}

// getenv looks up an environment variable of the command.
func (a *app) getenv(name string) (string, bool) {
	v, ok := a.env[name]
	return v, ok
}

// path resolves a path of the command line under --chdir.
func (a *app) path(p string) string {
	if a.chdir == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(a.chdir, p)
}

// absPath is path made absolute.
func (a *app) absPath(p string) (string, error) { return filepath.Abs(a.path(p)) }

// finish reports err and returns the exit code.
func (a *app) finish(err error) int {
	code := exitCode(err)
	a.json = a.json || !a.parsed && slices.Contains(a.Args, "--json") // a wrong flag before it is told as JSON, too
	var status exitStatus
	if err != nil && !errors.As(err, &status) {
		a.reportError(err, code)
	}
	if werr := a.junit.write(a, err); werr != nil {
		a.reportError(werr, exitError)
		if code == exitDone {
			code = exitError
		}
	}
	if a.json2 != nil {
		if cerr := a.json2.Close(); cerr != nil && code == exitDone {
			a.reportError(usagef("--json-into: %w", cerr), exitError)
			code = exitError
		}
	}
	return code
}

// colour reports whether w takes ANSI colours.
func (a *app) colour(w io.Writer) bool {
	if a.noColor || a.env["NO_COLOR"] != "" || a.env["TERM"] == "dumb" {
		return false
	}
	return isTerminal(w)
}

// width of the terminal at w in columns; 0 when it is none.
func (a *app) width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// style is what can be shown at w.
func (a *app) style(w io.Writer) view.Style {
	return view.Style{Color: a.colour(w), Width: a.width(w)}
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
