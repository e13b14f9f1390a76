package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func testRoot() *cobra.Command { return newRoot(newApp(Config{})) }

func TestOneDashIsAsGoodAsTwo(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"apply -auto-approve", "apply --auto-approve"},
		{"plan -var x=1 -out=f", "plan --var x=1 --out=f"},
		{"plan --var -json", "plan --var -json"}, // a value, not a flag
		{"-chdir=d validate", "--chdir=d validate"},
		{"logs -f train.a", "logs -f train.a"},
		{"predict -- -top", "predict -- -top"},
		{"plan -nothing", "plan -nothing"},
		{"-help", "--help"},
		{"plan -input=false", "plan --input=false"},
	} {
		got := strings.Join(normalizeArgs(testRoot(), strings.Fields(c.in)), " ")
		if got != c.want {
			t.Errorf("%q becomes %q, want %q", c.in, got, c.want)
		}
	}
}

func commands(root *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, c := range root.Commands() {
		if c.Name() != "help" {
			all = append(append(all, c), commands(c)...)
		}
	}
	return all
}

// normalizeArgs knows flags by name alone, so a name must mean one thing.
func TestFlagsOfOneNameTakeAValueEverywhereOrNowhere(t *testing.T) {
	takes := map[string]bool{}
	for _, c := range commands(testRoot()) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			value := f.NoOptDefVal == ""
			if before, seen := takes[f.Name]; seen && before != value {
				t.Errorf("--%s of %s takes a value elsewhere and not here, or the reverse", f.Name, c.CommandPath())
			}
			takes[f.Name] = value
		})
	}
}

func TestEveryCommandNamesItsExitCodes(t *testing.T) {
	for _, c := range commands(testRoot()) {
		if !c.Hidden && !strings.Contains(c.Long, "Exit codes:") {
			t.Errorf("the help of %s names no exit codes", c.CommandPath())
		}
	}
}

func TestEveryCommandHasAScript(t *testing.T) {
	scripts := scriptTexts(t)
	for _, c := range commands(testRoot()) {
		if c.HasSubCommands() || c.Hidden {
			continue
		}
		call := strings.TrimPrefix(c.CommandPath(), "runner ")
		if !slices.ContainsFunc(scripts, func(s string) bool { return strings.Contains(s, "runner "+call) }) {
			t.Errorf("no script in testdata/script runs %s", c.CommandPath())
		}
	}
}
