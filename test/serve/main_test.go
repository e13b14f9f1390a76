// Package serve drives a real `runner serve` from outside: it kills it and
// what it started, and measures it.
package serve

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters/adaptertest/fake"
	"github.com/trainwright/trainwright/internal/cli"
)

// TestMain makes this test binary the runner, with the fake adapter, unless
// it is started as a test.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || strings.HasPrefix(os.Args[1], "-test.") {
		os.Exit(m.Run())
	}
	os.Exit(cli.Run(context.Background(), cli.Config{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: os.Environ(),
		Adapters: fake.Registry(), Steps: fake.Steps(), Now: time.Now,
	}))
}
