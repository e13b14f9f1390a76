package cli

import (
	"bytes"
	"io"

	"github.com/spf13/cobra"
)

var shells = []string{"bash", "zsh", "fish", "powershell"}

func newCompletionCmd(a *app) *cobra.Command {
	return describe(&cobra.Command{
		Use:       "completion bash|zsh|fish|powershell",
		Short:     "Write a shell completion script",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: shells,
		RunE: func(c *cobra.Command, args []string) error {
			var b bytes.Buffer
			var err error
			switch root := c.Root(); args[0] {
			case "bash":
				err = root.GenBashCompletionV2(&b, true)
			case "zsh":
				err = root.GenZshCompletion(&b)
			case "fish":
				err = root.GenFishCompletion(&b, true)
			case "powershell":
				err = root.GenPowerShellCompletionWithDesc(&b)
			}
			if err != nil {
				return err
			}
			return a.show(map[string]string{"shell": args[0], "script": b.String()}, func(w io.Writer) {
				_, _ = w.Write(b.Bytes()) // into memory
			})
		},
	}, `
Writes a completion script for a shell to standard output.

  bash        source <(runner completion bash)
  zsh         runner completion zsh > "${fpath[1]}/_runner"
  fish        runner completion fish > ~/.config/fish/completions/runner.fish
  powershell  runner completion powershell | Out-String | Invoke-Expression`)
}
