package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner/executor/dagger"
	"github.com/trainwright/trainwright/runner/executor/remote"
)

// newContainerCmd is the process on this machine that has a Dagger engine run
// one attempt. The executor starts it; people do not.
func newContainerCmd() *cobra.Command {
	return hidden("container SPEC", "Run one attempt in a container, described by its container.json", dagger.Drive)
}

// newRelayCmd is the process inside the container, which starts the step.
func newRelayCmd() *cobra.Command {
	return hidden("relay SPEC", "Run the step of a container and send home what it writes", dagger.Relay)
}

// newRemoteCmd is the process on this machine that has a server run one
// attempt. The executor starts it; people do not.
func newRemoteCmd() *cobra.Command {
	return hidden("remote SPEC", "Have a server run one attempt, described by its remote.json", remote.Drive)
}

// hidden is a command that this program starts itself; run returns its exit code.
func hidden(use, short string, run func(ctx context.Context, path string) int) *cobra.Command {
	return &cobra.Command{
		Use:    use,
		Short:  short,
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if code := run(c.Context(), args[0]); code != spool.ExitCompleted {
				return exitStatus(code)
			}
			return nil
		},
	}
}
