package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func newOutputCmd(a *app) *cobra.Command {
	var flags planFlags
	var dir string
	var raw bool
	c := describe(&cobra.Command{
		Use:   "output [NAME]",
		Short: "Show the outputs of the last apply",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			p, store, err := a.openOf(ctx, dir, flags.pipelineFlags, flags.storeFlags)
			if err != nil {
				return err
			}
			defer store.Close()
			outputs, err := store.Outputs(ctx, p.Name)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				if raw {
					return usagef("--raw needs the name of one output")
				}
				return a.showOutputs(outputs)
			}
			return a.showOutput(outputs, args[0], raw)
		},
	}, `
Shows the outputs as the last apply left them: all, or the one named. --raw
writes a string, number or boolean as it is, for scripts; --json any value.`)
	flags.pipelineFlags.register(c)
	flags.storeFlags.register(c)
	c.Flags().StringVar(&dir, "dir", ".", "the pipeline's `FOLDER` or file")
	c.Flags().BoolVar(&raw, "raw", false, "write the value alone")
	return c
}

func (a *app) showOutputs(outputs map[string]runner.OutputValue) error {
	return a.show(outputs, func(w io.Writer) {
		if len(outputs) == 0 {
			fmt.Fprintln(w, "No outputs: the pipeline declares none, or nothing was applied yet.")
		}
		for _, name := range sortedKeys(outputs) {
			value := "(sensitive)"
			if !outputs[name].Sensitive {
				value = view.Value(outputs[name].Value)
			}
			fmt.Fprintf(w, "%s = %s\n", name, value)
		}
	})
}

func (a *app) showOutput(outputs map[string]runner.OutputValue, name string, raw bool) error {
	o, ok := outputs[name]
	if !ok {
		return pipelines.Errorf(pipelines.CodeNotFound, "there is no output %q in the state%s; outputs appear once apply has come to them", name, didYouMean(name, sortedKeys(outputs)))
	}
	if o.Sensitive {
		return pipelines.Errorf(pipelines.CodeInvalid, "output %q is sensitive and is not kept", name)
	}
	if raw {
		switch o.Value.(type) {
		case string, float64, bool:
		default:
			return usagef("output %q is no string, number or boolean; use --json", name)
		}
	}
	return a.show(o.Value, func(w io.Writer) {
		if s, ok := o.Value.(string); ok && raw {
			fmt.Fprint(w, s)
			return
		}
		fmt.Fprint(w, view.Value(o.Value))
		if !raw {
			fmt.Fprintln(w)
		}
	})
}
