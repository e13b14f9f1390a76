package cli

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// Exit codes of every command. README and each command's help give the same table.
const (
	exitDone      = 0
	exitError     = 1
	exitChanges   = 2
	exitDiffers   = 3
	exitFailed    = 4
	exitCheck     = 5
	exitStale     = 6
	exitLocked    = 7
	exitCancelled = 8
	exitTimeout   = 124
)

var exitMeaning = map[int]string{
	exitDone:      "done, or nothing to do",
	exitError:     "an error",
	exitChanges:   "the plan has changes (only with --detailed-exitcode)",
	exitDiffers:   "files differ from the standard format (only with --check)",
	exitFailed:    "a step failed",
	exitCheck:     "a check or a dataset gate failed",
	exitStale:     "the plan file is stale",
	exitLocked:    "the state is locked by another process",
	exitCancelled: "cancelled, signals included",
	exitTimeout:   "timed out",
}

// exitStatus ends the program with a code and no message: an outcome, not an error.
type exitStatus int

func (e exitStatus) Error() string { return "exit status " + strconv.Itoa(int(e)) }

// exitCode is the one place that decides how the program ends.
func exitCode(err error) int {
	var status exitStatus
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &status):
		return int(status)
	}
	switch pipelines.CodeOf(err) {
	case pipelines.CodeStepFailed:
		return exitFailed
	case pipelines.CodeCheckFailed:
		return exitCheck
	case pipelines.CodeStale:
		return exitStale
	case pipelines.CodeLocked:
		return exitLocked
	case pipelines.CodeCancelled:
		return exitCancelled
	case pipelines.CodeTimeout:
		return exitTimeout
	}
	switch {
	case errors.Is(err, context.Canceled):
		return exitCancelled
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	}
	return exitError
}

// exitHelp is the part of a command's help that names its exit codes.
func exitHelp(codes ...int) string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, c := range codes {
		b.WriteString("  " + strconv.Itoa(c) + strings.Repeat(" ", 5-len(strconv.Itoa(c))) + exitMeaning[c] + "\n")
	}
	return b.String()
}
