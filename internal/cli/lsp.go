package cli

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/internal/lsp"
)

func newLSPCmd(a *app) *cobra.Command {
	c := describe(&cobra.Command{
		Use:   "lsp",
		Short: "Serve an editor: a language server on standard input and output",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("lsp: %w", err)
			}
			orderly, err := lsp.Serve(c.Context(), a.Stdin, closer{a.Stdout}, lsp.Config{
				Command: []string{self, "analyze"}, Env: a.Env, Stderr: a.Stderr, Version: Version, Log: a.log,
			})
			if err == nil && !orderly {
				return exitStatus(exitError)
			}
			return err
		},
	}, `
Speaks the Language Server Protocol on standard input and output; editors start
it. It tells what validate tells while a pipeline is being written, completes
blocks, arguments, config fields and their choices, references, adapters and
models, explains words, finds where names are declared and used, and formats as
fmt does. It exits with 0 when the editor shut it down, with 1 when its input
ended otherwise. editors/vscode is an extension for VS Code; docs/editors.md
names the settings of others.`)
	c.Flags().Bool("stdio", true, "speak on standard input and output, as it always does")
	return c
}

// closer is a writer whose end is the process's.
type closer struct{ io.Writer }

func (closer) Close() error { return nil }

// newAnalyzeCmd is the process that reads pipelines for lsp, which starts it;
// people do not.
func newAnalyzeCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "analyze",
		Short:  "Answer a language server's questions, read from standard input",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a.hideSensitive()
			debug.SetGCPercent(400) // each question makes garbage that a pause while typing has time for
			debug.SetMemoryLimit(256 << 20)
			return lsp.Answer(c.Context(), a.Stdin, a.Stdout, lsp.Language{Hide: a.redactor.hide, Limits: hclspec.DefaultLimits,
				Options: func(dir string) hclspec.Options {
					opts := a.options(pipelineFlags{})
					opts.External = a.ownAdapters(dir).load
					return opts
				}})
		},
	}
}
