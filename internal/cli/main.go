package cli

import (
	"context"
	"os"
	"time"
)

// Main runs the command line in os.Args and returns its exit code.
func Main() int {
	return Run(context.Background(), Config{
		Args:     os.Args[1:],
		Stdin:    os.Stdin,
		Stdout:   os.Stdout,
		Stderr:   os.Stderr,
		Env:      os.Environ(),
		Adapters: defaultAdapters(),
		Steps:    defaultSteps(),
		Now:      time.Now,
	})
}
