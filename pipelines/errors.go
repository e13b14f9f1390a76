package pipelines

import (
	"errors"
	"fmt"
)

// Code classifies an error for exit codes, HTTP statuses and retry.
type Code string

const (
	CodeInternal    Code = "internal"
	CodeInvalid     Code = "invalid"     // the request or configuration is wrong
	CodeNotFound    Code = "not_found"   // nothing of that name
	CodeConflict    Code = "conflict"    // state changed underneath, or a name is taken
	CodeStale       Code = "stale"       // a plan file no longer fits
	CodeLocked      Code = "locked"      // somebody else holds the lock
	CodeUnavailable Code = "unavailable" // try again later, or not in this version
	CodeCancelled   Code = "cancelled"
	CodeTimeout     Code = "timeout"
	CodeStepFailed  Code = "step_failed"
	CodeCheckFailed Code = "check_failed" // a check or a dataset gate
)

// Error is an error with a code and a message for people.
type Error struct {
	Code    Code
	Message string // what, where, why and what to do
	Err     error  // underlying, may be nil
}

// Errorf makes an *Error; a %w verb in format becomes its cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the underlying error.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first *Error in err's chain, CodeInternal without one, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
