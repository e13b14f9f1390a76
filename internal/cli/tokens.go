package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/web"
)

func newTokensCmd(a *app) *cobra.Command {
	c := describe(&cobra.Command{
		Use:   "tokens",
		Short: "List, make and revoke the tokens of runner serve",
		Args:  cobra.NoArgs,
	}, `
Works on the state that runner serve serves, whether it runs or not; a server
that runs takes a new token at once, and a revoked one no more. Of a token only
its hash is kept: its secret is shown once, when it is made. The roles are
admin (tokens too), write (start, stop, save), read (look at everything) and
run-status (look at one run) and run-report (send its events), both for 7 days
unless told otherwise.`)
	c.AddCommand(newTokensListCmd(a), newTokensCreateCmd(a), newTokensRevokeCmd(a))
	return c
}

func newTokensListCmd(a *app) *cobra.Command {
	var f storeFlags
	c := describe(&cobra.Command{
		Use: "list [PATH]", Short: "List tokens, newest first, also void ones", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			store, _, err := a.openExisting(c.Context(), a.pipelinePath(args), f)
			if err != nil {
				return err
			}
			defer store.Close()
			all, err := store.Tokens(c.Context())
			if err != nil {
				return err
			}
			return a.showTokens(all)
		},
	}, "Lists the tokens of a pipeline's state, sessions of logged-in people among them.")
	f.register(c)
	return c
}

func (a *app) showTokens(all []runner.Token) error {
	if all == nil {
		all = []runner.Token{}
	}
	return a.show(map[string]any{"v": 1, "tokens": all}, func(w io.Writer) {
		rows := [][]string{{"ID", "ROLE", "STATE", "EXPIRES", "LAST USED", "LABEL"}}
		for _, t := range all {
			state := "good"
			switch {
			case !t.Revoked.IsZero():
				state = "revoked"
			case !t.Holds(a.Now()):
				state = "expired"
			}
			rows = append(rows, []string{t.ID, string(t.Role), state, day(t.Expires), day(t.LastUsed), t.Label})
		}
		view.Table(w, a.style(a.Stdout), "", rows)
	})
}

func day(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

func newTokensCreateCmd(a *app) *cobra.Command {
	var f storeFlags
	var role, label, run string
	var life time.Duration
	c := describe(&cobra.Command{
		Use: "create [PATH]", Short: "Make a token and show its secret, this once", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			store, _, err := a.openExisting(c.Context(), a.pipelinePath(args), f)
			if err != nil {
				return err
			}
			defer store.Close()
			if run != "" {
				found, err := findRun(c.Context(), store, run, "")
				if err != nil {
					return err
				}
				run = found.ID
			}
			t, secret, err := web.MakeToken(c.Context(), store, web.Scope(role), run, label, life, a.Now())
			if err != nil {
				return err
			}
			return a.show(map[string]any{"v": 1, "token": t, "secret": secret}, func(w io.Writer) {
				fmt.Fprintf(w, "%s\n", secret)
				fmt.Fprintf(a.Stderr, "Token %s of the role %s, expires: %s. It is shown this once.\n", t.ID, t.Role, day(t.Expires))
			})
		},
	}, "Makes a token. Standard output is the secret alone, for scripts.")
	f.register(c)
	c.Flags().StringVar(&role, "role", "read", "what it may do: `ROLE` admin, write, read, run-status or run-report")
	c.Flags().StringVar(&label, "label", "", "whose it is: `TEXT` for people")
	c.Flags().StringVar(&run, "run", "", "the run that a run-status or run-report token is for: its `ID` or job id")
	c.Flags().DurationVar(&life, "expires", 0, "it is void after `DURATION` (24h); 0 = never, or 7 days for those of one run")
	return c
}

func newTokensRevokeCmd(a *app) *cobra.Command {
	var f storeFlags
	var path string
	c := describe(&cobra.Command{
		Use: "revoke ID", Short: "Make a token void, and the sessions begun with it", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			store, _, err := a.openExisting(c.Context(), a.path(path), f)
			if err != nil {
				return err
			}
			defer store.Close()
			done, err := web.RevokeToken(c.Context(), store, args[0], a.Now())
			if err != nil {
				return err
			}
			return a.showTokens(done)
		},
	}, "Makes a token void. A server that runs takes it no more.")
	f.register(c)
	c.Flags().StringVar(&path, "pipeline", ".", "the pipeline's `PATH`")
	return c
}
