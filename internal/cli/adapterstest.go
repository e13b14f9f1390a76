package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/adaptertest"
	"github.com/trainwright/trainwright/adapters/external"
	"github.com/trainwright/trainwright/internal/conformance"
	"github.com/trainwright/trainwright/pipelines"
)

// trial is what `adapters test` is asked to do.
type trial struct {
	conformance.Options
	prepare      adapters.PrepareOptions
	requirements string
	only         []string
}

func newAdaptersTestCmd(a *app) *cobra.Command {
	var x trial
	set, skip := []string{}, []string{}
	c := describe(&cobra.Command{
		Use:   "test NAME|FILE.py",
		Short: "Run the conformance suite on an adapter",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			for _, name := range x.only {
				if !slices.Contains(adaptertest.Names(), name) {
					return usagef("there is no check %q; the checks are %s", name, strings.Join(adaptertest.Names(), ", "))
				}
			}
			x.Set, x.Skip = map[string]any{}, map[string]string{}
			for _, s := range set {
				name, value, ok := strings.Cut(s, "=")
				if !ok {
					return usagef("--set %s: write FIELD=VALUE", s)
				}
				x.Set[name] = plainValue(value)
			}
			for _, name := range skip {
				x.Skip[name] = "left out by --skip"
			}
			return a.testAdapter(c.Context(), args[0], x)
		},
	}, `
Trains an adapter, one of this program's, of the pipeline in this folder, or the
one in a Python file, again and again on a few generated images, and looks at
what it leaves behind: what it reports and in which order, whether each config
field that it declares has an effect, whether a training that was killed,
stopped, or left with a damaged checkpoint goes on as if nothing had happened,
whether a bad image is told. What an adapter says of itself counts for nothing: a
field that is changed must change weights, metrics or schedule. A minute to an
hour, by the number of fields and the time that one small training takes.

Checks: `+strings.Join(adaptertest.Names(), ", ")+".", exitDone, exitError, exitCheck, exitCancelled)
	f := c.Flags()
	f.StringVar(&x.requirements, "requirements", "", "the requirements `FILE` of an adapter in a Python file (default requirements.txt beside it, if there)")
	f.StringVar(&x.Task, "task", "", "train for `TASK` (default the adapter's first that the suite has data for)")
	f.StringVar(&x.Model, "model", "", "train `MODEL` (default the smallest)")
	f.IntVar(&x.ImageSize, "image-size", 0, "pixels a side (default the model's, at most 64)")
	f.StringArrayVar(&set, "set", nil, "train with config `FIELD=VALUE`; may be repeated")
	f.StringArrayVar(&x.Fields, "field", nil, "of the config fields, change `FIELD` only; may be repeated")
	f.StringArrayVar(&skip, "skip", nil, "do not change config field `FIELD`; may be repeated")
	f.StringArrayVar(&x.only, "only", nil, "run check `CHECK` only; may be repeated")
	f.DurationVar(&x.Slow, "slow", 5*time.Minute, "the longest that one small training may take")
	f.IntVar(&x.Parallel, "parallel", 2, "change that many fields at once")
	registerPrepare(c, &x.prepare)
	return c
}

// testReport is what --json says.
type testReport struct {
	conformance.Subject
	Passed bool                  `json:"passed"`
	Checks []adaptertest.Finding `json:"checks"`
}

func (a *app) testAdapter(ctx context.Context, what string, x trial) error {
	ad, err := a.openAdapter(ctx, what, x)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "trainwright-adapter-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	h, subject, err := conformance.Harness(ctx, ad, dir, x.Options)
	if err != nil {
		return err
	}
	report := testReport{Subject: subject, Passed: true}
	if !a.json {
		fmt.Fprintf(a.Stdout, "Adapter %s: %s for %s, %d px\n", subject.Adapter, subject.Model, subject.Task, subject.ImageSize)
	}
	err = adaptertest.Check(ctx, h, filepath.Join(dir, "checks"), x.only, func(f adaptertest.Finding) {
		report.Passed = report.Passed && len(f.Failures) == 0
		report.Checks = append(report.Checks, f)
		if !a.json {
			a.printFinding(a.Stdout, f)
		}
	})
	if err != nil {
		return err
	}
	if err := a.writeJSON(report); err != nil {
		return err
	}
	if !report.Passed {
		return exitStatus(exitCheck)
	}
	return nil
}

func (a *app) printFinding(w io.Writer, f adaptertest.Finding) {
	st := a.style(a.Stdout)
	switch {
	case len(f.Failures) > 0:
		fmt.Fprintf(w, "%s %s\n", st.Red("✗"), f.Check)
	case f.Skipped != "":
		fmt.Fprintf(w, "- %s: not run: %s\n", f.Check, f.Skipped)
	default:
		fmt.Fprintf(w, "%s %s (%s)\n", st.Green("✓"), f.Check, f.Took.Round(100*time.Millisecond))
	}
	for _, x := range f.Failures {
		fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(x.What, "\n", "\n      "))
	}
	for _, x := range f.LeftOut {
		fmt.Fprintf(w, "  - %s was not changed: %s\n", x.Field, x.What)
	}
	if f.Fix != "" {
		fmt.Fprintf(w, "  To mend it: %s\n", f.Fix)
	}
}

// openAdapter finds an adapter by its name, or in a Python file, and makes its
// environment.
func (a *app) openAdapter(ctx context.Context, what string, x trial) (adapters.Adapter, error) {
	x.prepare.Tell = a.tell
	file := a.path(what)
	if _, err := os.Stat(file); err != nil || !strings.HasSuffix(what, ".py") && !strings.ContainsRune(what, filepath.Separator) {
		a.declareAdapters(ctx)
		ad, ok := a.Adapters.Lookup(what)
		if !ok {
			return nil, pipelines.Errorf(pipelines.CodeNotFound, "there is no adapter and no file %q; known adapters: %s", what, strings.Join(a.Adapters.Names(), ", "))
		}
		if p, ok := ad.(adapters.Preparer); ok {
			return ad, p.Prepare(ctx, x.prepare)
		}
		return ad, nil
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	c := pipelines.AdapterConfig{Name: adapterNameOf(file), Source: file}
	beside := filepath.Join(filepath.Dir(file), "requirements.txt")
	if _, err := os.Stat(beside); x.requirements != "" {
		c.Requirements = a.path(x.requirements)
	} else if err == nil {
		c.Requirements = beside
	}
	host := pythonHost(a.getenv)
	env, err := external.Environment(c, host)
	if err != nil {
		return nil, err
	}
	if err := env.Make(ctx, x.prepare); err != nil {
		return nil, err
	}
	ad, warnings, err := external.Try(ctx, c, host)
	for _, w := range warnings {
		a.tell("Warning: " + w)
	}
	return ad, err
}

var notInName = regexp.MustCompile(`[^a-z0-9_]+`)

// adapterNameOf is a name for the adapter in a file, by absolute path: the
// file's, or its folder's where the file is just called adapter.py.
func adapterNameOf(file string) string {
	name := strings.TrimSuffix(filepath.Base(file), ".py")
	if name == "adapter" || name == "__init__" {
		name = filepath.Base(filepath.Dir(file))
	}
	return notInName.ReplaceAllString(strings.ToLower(name), "_")
}

// plainValue reads a number or true and false; anything else is a text.
func plainValue(text string) any {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err == nil {
		return v
	}
	return text
}
