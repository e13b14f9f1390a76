package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/internal/report"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func newShowCmd(a *app) *cobra.Command {
	var flags storeFlags
	var dir string
	c := describe(&cobra.Command{
		Use:   "show PLANFILE|RUN",
		Short: "Show a saved plan, or everything about a run",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if isPlanFile(a.path(args[0])) {
				file, err := runner.LoadPlanFile(a.path(args[0]))
				if err != nil {
					return err
				}
				return a.show(file.Plan, func(w io.Writer) { view.Plan(w, a.style(a.Stdout), &file.Plan) })
			}
			ctx := c.Context()
			store, _, run, err := a.openRun(ctx, dir, args[0], flags)
			if err != nil {
				return err
			}
			defer store.Close()
			d, err := reportData(ctx, store, run)
			if err != nil {
				return err
			}
			return a.show(runDetails(d), func(w io.Writer) { writeRun(w, a.style(a.Stdout), d) })
		},
	}, `
Shows a plan that plan --out saved, or a run: its attempts, metrics, last
validation, checkpoints and files. RUN is a run's id, its job number, or a
step's address (its newest run).`)
	flags.register(c)
	c.Flags().StringVar(&dir, "dir", ".", "the pipeline's `FOLDER`")
	return c
}

// runJSON is `runner show RUN --json`.
type runJSON struct {
	Run         pipelines.Run          `json:"run"`
	Attempts    []pipelines.Attempt    `json:"attempts"`
	Metrics     []runner.MetricRow     `json:"metrics"`
	Validations []pipelines.Validation `json:"validations"`
	Checkpoints []pipelines.Checkpoint `json:"checkpoints"`
	Artifacts   []pipelines.Artifact   `json:"artifacts"`
	Messages    []runner.MessageRow    `json:"messages"`
}

func runDetails(d report.Data) runJSON {
	return runJSON{d.Run, d.Attempts, d.Metrics, d.Validations, d.Checkpoints, d.Artifacts, d.Messages}
}

func writeRun(w io.Writer, st view.Style, d report.Data) {
	run := d.Run
	page := filepath.Join(run.Dir, reportName)
	if _, err := os.Stat(page); err != nil {
		page = "" // of an export there is none
	}
	fmt.Fprintf(w, "%s %s: %s\n", st.Bold("Run"), run.ID, run.Status)
	for _, f := range [][2]string{
		{"Pipeline", run.Pipeline}, {"Step", string(run.Address)}, {"Job", fmt.Sprint(run.JobID)}, {"Model", run.Model},
		{"Adapter", run.Adapter}, {"Folder", run.Dir}, {"Report", page}, {"Goes on from", run.Parent},
		{"Cause", string(run.Cause)}, {"Error", run.Error},
	} {
		if f[1] != "" {
			fmt.Fprintf(w, "  %-13s %s\n", f[0], f[1])
		}
	}
	if len(d.Attempts) > 0 {
		rows := [][]string{{"ATTEMPT", "STATUS", "EXIT", "TOOK", "ERROR"}}
		for _, at := range d.Attempts {
			took := "-"
			if !at.Ended.IsZero() {
				took = view.Duration(at.Ended.Sub(at.Started))
			}
			rows = append(rows, []string{fmt.Sprint(at.Number), string(at.Status), fmt.Sprint(at.ExitCode), took, at.Error})
		}
		fmt.Fprintln(w)
		view.Table(w, st, "  ", rows)
	}
	if n := len(d.Validations); n > 0 {
		fmt.Fprintln(w)
		view.Validation(w, st, d.Validations[n-1])
	}
	if len(d.Checkpoints) > 0 {
		rows := [][]string{{"CHECKPOINT", "EPOCH", "STEP", "PATH"}}
		for _, c := range d.Checkpoints {
			rows = append(rows, []string{c.Name, fmt.Sprint(c.Epoch), fmt.Sprint(c.GlobalStep), c.Path})
		}
		fmt.Fprintln(w)
		view.Table(w, st, "  ", rows)
	}
	if len(d.Artifacts) > 0 {
		rows := [][]string{{"FILE", "BYTES", "PATH"}}
		for _, f := range d.Artifacts {
			rows = append(rows, []string{f.Name, fmt.Sprint(f.Size), f.Path})
		}
		fmt.Fprintln(w)
		view.Table(w, st, "  ", rows)
	}
}
