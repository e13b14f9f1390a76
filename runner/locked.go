package runner

import (
	"fmt"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// Locked is the CodeLocked error that a Store returns when somebody else
// holds the lock; errors.As finds the *LockedError in it.
func Locked(pipeline string, holder LockHolder) error {
	e := &LockedError{Pipeline: pipeline, Holder: holder}
	return &pipelines.Error{Code: pipelines.CodeLocked, Message: e.Error(), Err: e}
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("the state of pipeline %q is locked by %s; wait for it, or use --lock-timeout; if that process is gone, run: runner force-unlock %s",
		e.Pipeline, e.Holder, e.Holder.ID)
}

func (h LockHolder) String() string {
	return fmt.Sprintf("%s@%s (pid %d, %s since %s)", h.User, h.Host, h.PID, h.Operation, h.Created.Format(time.RFC3339))
}
