//go:build !linux

package mirror

import "errors"

// exchange is Linux's alone: elsewhere a name is gone for a moment.
func exchange(_, _ string) error { return errors.ErrUnsupported }
