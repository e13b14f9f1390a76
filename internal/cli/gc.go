package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/datasets/remote"
	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/remote/host"
)

func newGCCmd(a *app) *cobra.Command {
	var flags planFlags
	var opts runner.GCOptions
	var dry bool
	var cacheAge time.Duration
	c := describe(&cobra.Command{
		Use:   "gc [PATH]",
		Short: "Remove the files of runs that newer ones replaced",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.gc(c.Context(), a.pipelinePath(args), flags, opts, dry, cacheAge)
		},
	}, `
Removes the folders (checkpoints, artifacts, spools) of all but the newest
completed runs of each step, and folders of no known run. Runs that are at work
or can be gone on with stay, and so does what the state remembers of every run:
metrics, results, logs of events. What steps of other machines left here (runner
serve, executor "remote") goes a day after they have fetched it, or when they have
not for 30 days; a folder without a pipeline has only that. With --archive it removes them from the
pipeline's artifacts block too; with --cache it removes fetched datasets that
were not used for that long.`, exitDone, exitError, exitLocked)
	flags.pipelineFlags.register(c)
	flags.storeFlags.register(c)
	c.Flags().IntVar(&opts.Keep, "keep", 1, "keep the files of `N` completed runs of each step")
	c.Flags().BoolVar(&opts.Archive, "archive", false, "remove them from the archive too")
	c.Flags().DurationVar(&cacheAge, "cache", 0, "remove fetched datasets not used for `DURATION` (720h)")
	c.Flags().BoolVar(&dry, "dry-run", false, "only say what would be removed")
	return c
}

// gcReport is what --json says.
type gcReport struct {
	Removed bool             `json:"removed"` // false with --dry-run
	Bytes   int64            `json:"bytes"`
	Runs    []runner.Garbage `json:"runs"`
	Cache   int64            `json:"cache_bytes"`
}

func (a *app) gc(ctx context.Context, path string, flags planFlags, opts runner.GCOptions, dry bool, cacheAge time.Duration) error {
	applier, dir, found := &runner.Applier{}, a.servesOnly(path, flags.storeFlags), []runner.Garbage{}
	if dir == "" {
		p, err := a.loadForUse(ctx, path, flags.pipelineFlags)
		if err != nil {
			return err
		}
		s, err := a.open(ctx, p, flags)
		if err != nil {
			return err
		}
		defer s.Close()
		applier, dir = s.applier, s.applier.Dir
		runs, err := applier.Garbage(ctx, p.Name, opts)
		if err != nil {
			return err
		}
		found = append(found, runs...)
	}
	served, err := host.Garbage(servedDir(dir), a.Now())
	if err != nil {
		return err
	}
	found = append(found, served...)
	report := gcReport{Removed: !dry, Runs: found}
	for _, g := range found {
		report.Bytes += g.Bytes
	}
	if cacheAge > 0 {
		cache, err := userCache()
		if err != nil {
			return err
		}
		if report.Cache, err = remote.Prune(filepath.Join(cache, "datasets"), a.Now().Add(-cacheAge), dry); err != nil {
			return err
		}
	}
	if !dry {
		if err := applier.Collect(ctx, found); err != nil {
			return err
		}
	}
	return a.show(report, func(w io.Writer) {
		verb := "Removed"
		if dry {
			verb = "Would remove"
		}
		for _, g := range found {
			fmt.Fprintf(w, "%s  %s  %.1f MB  %s\n", g.RunID, g.Address, float64(g.Bytes)/1e6, nearPath(g.Dir))
		}
		fmt.Fprintf(w, "%s the files of %s, %.1f MB", verb, view.Count(len(found), "run"), float64(report.Bytes)/1e6)
		if cacheAge > 0 {
			fmt.Fprintf(w, ", and %.1f MB of fetched datasets", float64(report.Cache)/1e6)
		}
		fmt.Fprintln(w, ".")
	})
}

// servesOnly returns the state's folder of a machine that runs steps of others
// and has no pipeline at path; "" = it has one, or nothing at all.
func (a *app) servesOnly(path string, f storeFlags) string {
	if sources, err := filepath.Glob(filepath.Join(path, "*.hcl")); err != nil || len(sources) > 0 {
		return ""
	}
	place, err := a.storePlace(path, "", f)
	if err != nil {
		return ""
	}
	if info, err := os.Stat(servedDir(place.dir)); err != nil || !info.IsDir() {
		return ""
	}
	return place.dir
}
