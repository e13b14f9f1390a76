// Package spool is the ground that a step and its watchers share: the attempt
// folder, its append-only event file and its lock.
//
// A step writes events to events.ndjson and never waits for anybody who reads
// them. A line is written with one write(2), so it survives the death of the
// step from the moment that Emit returns. Lines that mark a point of no
// return (config_applied, resumed, validation, checkpoint, result) are also
// synced to disk before Emit returns, and with them everything before: after
// a power loss at most progress, metrics and messages since the last such
// line are gone, and a resumed attempt reports those again.
//
// A step holds an exclusive flock on the file "lock" of its attempt folder
// for life. The runner takes it and hands the open descriptor to the child,
// so that there is no moment in which a started step holds no lock. The
// kernel releases it when the last copy of the descriptor is closed; a step
// that forks workers must close it in them (Inherited marks it close-on-exec).
package spool

// Names of the files in an attempt folder.
const (
	TaskFile   = "task.json"
	EventsFile = "events.ndjson"
	LockFile   = "lock"
	LogFile    = "output.log" // standard output and error of the step, in order
)

// Environment variables that a step is started with.
const (
	EnvLockFD     = "RUNNER_LOCK_FD"     // number of the inherited lock descriptor
	EnvAttemptDir = "RUNNER_ATTEMPT_DIR" // the attempt folder, absolute
)

// MaxLine is the longest event line in bytes, newline included. A longer one
// is refused by Writer and skipped by Reader.
const MaxLine = 16 << 20
