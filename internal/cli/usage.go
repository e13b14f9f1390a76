package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// explain makes every command below root answer wrong arguments with how it
// is used, and a command that only holds others refuse what is none of them.
func explain(root *cobra.Command) {
	for _, c := range root.Commands() {
		explain(c)
		if check := c.Args; check != nil {
			c.Args = func(c *cobra.Command, args []string) error {
				err := check(c, args)
				if err == nil {
					return nil
				}
				what := "these arguments do not fit: " + strings.Join(args, " ")
				if len(args) == 0 {
					what = "an argument is missing"
				} else if strings.HasPrefix(err.Error(), "invalid argument") { // of those that a command lists
					what = err.Error()
				}
				return usagef("%s\nUsage: %s\nRun \"%s --help\" for more.", what, c.UseLine(), c.CommandPath())
			}
		}
		if c.HasSubCommands() && !c.Runnable() {
			c.RunE = oneOf
		}
	}
}

// oneOf is what a command that only holds others runs.
func oneOf(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	var known []string
	for _, sub := range c.Commands() {
		known = append(known, sub.Name())
	}
	return usagef("unknown command %q for %q%s; there is %s", args[0], c.CommandPath(), didYouMean(args[0], known), strings.Join(known, ", "))
}
