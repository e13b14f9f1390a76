package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/runner/executor/kubernetes/pod"
	"github.com/trainwright/trainwright/runner/executor/kubernetes/work"
	"github.com/trainwright/trainwright/runner/executor/local"
)

// newPodCmd runs one attempt inside a pod. The Kubernetes executor puts it
// into the pod's command; people do not start it.
func newPodCmd(a *app) *cobra.Command {
	var o pod.Options
	var bucket string
	var place work.Place
	c := &cobra.Command{
		Use:    "pod TASK -- STEP…",
		Short:  "Run one attempt in a pod and print its events to the pod's log",
		Hidden: true,
		Args:   cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			o.Task, o.Argv, o.Stdout = args[0], args[1:], a.Stdout
			if bucket != "" {
				var err error
				if place.Blobs, err = a.openPodBucket(c.Context(), bucket); err != nil {
					return err
				}
				o.Place = &place
			}
			if code := pod.Run(c.Context(), &local.Executor{Environ: a.Env}, o); code != 0 {
				return exitStatus(code)
			}
			return nil
		},
	}
	f := c.Flags()
	f.DurationVar(&o.Grace, "grace", 30*time.Second, "between SIGTERM and SIGKILL")
	f.DurationVar(&o.Timeout, "timeout", 0, "of the attempt; 0 = none")
	f.StringVar(&o.Dir, "dir", "", "the step's working folder")
	f.StringArrayVar(&o.SecretEnv, "secret-env", nil, "a variable whose value is a secret")
	f.IntVar(&o.Rank, "rank", 0, "of this pod among those of the attempt")
	f.StringVar(&bucket, "bucket", "", "where the attempt's files come from and go to, as JSON; else they are on a volume")
	f.StringVar(&place.Run, "run", "", "the run, in the bucket")
	f.IntVar(&place.Attempt, "attempt", 0, "the attempt, in the bucket")
	f.StringVar(&o.TerminationLog, "termination-log", "", "a file that takes how it ended")
	return c
}
