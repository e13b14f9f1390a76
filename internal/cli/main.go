// Package cli is the runner command: one file a command, exit codes decided in one place.
package cli

// Main runs the command line in os.Args and returns its exit code.
func Main() int {
	return 0
}
