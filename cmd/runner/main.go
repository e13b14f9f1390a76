// Command runner checks, plans and applies Trainwright pipelines.
package main

import (
	"os"

	"github.com/trainwright/trainwright/internal/cli"
)

func main() {
	os.Exit(cli.Main())
}
