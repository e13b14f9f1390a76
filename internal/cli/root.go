package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/agext/levenshtein"
)

// newRoot builds the command tree. To add a command: one file, one line here,
// one script in testdata/script.
func newRoot(a *app) *cobra.Command {
	cobra.EnableCommandSorting = false // commands are listed in the order of use
	root := &cobra.Command{
		Use:   "runner",
		Short: "Train vision models from HCL declarations",
		Long: `runner checks, plans and applies Trainwright pipelines: HCL files that name a
model, a dataset and how to train. See what would happen with plan, make it
happen with apply.`,
		Version:           Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.start() },
	}
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.SetVersionTemplate("runner {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.SuggestionsMinimumDistance = 2
	a.globalFlags(root)

	root.AddGroup(
		&cobra.Group{ID: "main", Title: "Main commands:"},
		&cobra.Group{ID: "runs", Title: "Runs:"},
		&cobra.Group{ID: "look", Title: "What there is:"},
		&cobra.Group{ID: "more", Title: "More:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("main",
		newInitCmd(a),
		newNewCmd(a),
		newValidateCmd(a),
		newPlanCmd(a),
		newApplyCmd(a),
		newFmtCmd(a),
		newOutputCmd(a),
		newTestCmd(a),
	)
	add("runs",
		newStatusCmd(a),
		newShowCmd(a),
		newLogsCmd(a),
		newCancelCmd(a),
		newResumeCmd(a),
		newPredictCmd(a),
		newForceUnlockCmd(a),
		newGCCmd(a),
		newServeCmd(a),
		newTokensCmd(a),
	)
	add("look",
		newModelsCmd(a),
		newAdaptersCmd(a),
		newSchemaCmd(a),
		newDatasetCmd(a),
		newGraphCmd(a),
		newConsoleCmd(a),
		newDoctorCmd(a),
	)
	add("more",
		newLSPCmd(a),
		newVersionCmd(a),
		newCompletionCmd(a),
	)
	root.AddCommand(newStepCmd(a), newContainerCmd(), newRelayCmd(), newRemoteCmd(), newEvaluateCmd(a), newAnalyzeCmd(a), newPodCmd(a), newWorkCmd(a))
	explain(root)
	root.SetHelpCommandGroupID("more")
	root.InitDefaultHelpCmd()
	return root
}

// describe sets a command's long help: what it does, then its exit codes.
func describe(c *cobra.Command, text string, codes ...int) *cobra.Command {
	if len(codes) == 0 {
		codes = []int{exitDone, exitError}
	}
	c.Long = strings.TrimSpace(text) + "\n\n" + strings.TrimRight(exitHelp(codes...), "\n")
	return c
}

// flagError adds "did you mean" to an unknown flag and points to the help.
func flagError(c *cobra.Command, err error) error {
	message := err.Error()
	if name, ok := strings.CutPrefix(message, "unknown flag: --"); ok {
		if near := nearestFlag(c, name); near != "" {
			message += "; did you mean --" + near + "?"
		}
	}
	return usagef("%s\nRun \"%s --help\" for the flags.", message, c.CommandPath())
}

func nearestFlag(c *cobra.Command, name string) string {
	best, distance := "", 3
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if d := levenshtein.Distance(name, f.Name, nil); d < distance {
			best, distance = f.Name, d
		}
	})
	return best
}
