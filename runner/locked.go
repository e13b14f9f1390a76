package runner

import (
	"fmt"
	"time"
)

func (e *LockedError) Error() string {
	h := e.Holder
	return fmt.Sprintf("the state of pipeline %q is locked by %s@%s (pid %d, %s since %s); wait for it, or use --lock-timeout; if that process is gone, run: runner force-unlock %s",
		e.Pipeline, h.User, h.Host, h.PID, h.Operation, h.Created.Format(time.RFC3339), h.ID)
}
