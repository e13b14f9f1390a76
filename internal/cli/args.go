package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// normalizeArgs turns one-dash long flags (-auto-approve, -var x=1) that any
// command of the tree knows into their two-dash form, as users of the
// infrastructure tools write them. Shorthands (-f), values of the flag before
// and everything after "--" stay as they are.
func normalizeArgs(root *cobra.Command, args []string) []string {
	known := longFlags(root)
	out := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(out, args[i:]...)
		}
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		flag, ok := known[name]
		if !ok || !strings.HasPrefix(arg, "-") || len(name) < 2 {
			out = append(out, arg)
			continue
		}
		out = append(out, "--"+strings.TrimLeft(arg, "-"))
		if takesValue := flag != nil && flag.NoOptDefVal == ""; takesValue && !hasValue && i+1 < len(args) {
			i++
			out = append(out, args[i])
		}
	}
	return out
}

// longFlags collects the long flags of every command. A name that two commands
// define takes a value in both or in neither; a test holds that.
func longFlags(root *cobra.Command) map[string]*pflag.Flag {
	known := map[string]*pflag.Flag{"help": nil, "version": nil}
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		add := func(f *pflag.Flag) { known[f.Name] = f }
		c.Flags().VisitAll(add)
		c.PersistentFlags().VisitAll(add)
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(root)
	return known
}
