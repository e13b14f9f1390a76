// Package cli is the runner command: one file a command, all of them listed in
// root.go, exit codes decided in exit.go and nowhere else. Run starts the real
// program with everything that it touches handed in, so tests drive it with
// fake adapters and a fixed clock.
package cli
