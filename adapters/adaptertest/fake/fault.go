package fake

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Environment variables of the fake.
const (
	// EnvFault lists faults, comma separated: KIND[=ARG][@STEP][#ATTEMPT].
	// STEP is a global step (without: the first), ATTEMPT a number (without:
	// every attempt). Kinds:
	//
	//	crash        exit code 3 without a result    kill         SIGKILL to itself
	//	panic        a Go panic                      hang         wait for ever (SIGTERM ends it)
	//	nan          the loss becomes NaN: a failed result with cause nan
	//	fail=CAUSE   a failed result with that cause (oom, data, preempted, …)
	//	torn         the newest checkpoint is cut short, then exit code 3
	//	silent       return without a result         garbage      a broken line in the spool
	//	lie=FIELD    config_applied tells another value of FIELD
	//	hide=FIELD   config_applied leaves FIELD out
	//	late         the first metrics come before config_applied
	//	stubborn     SIGTERM is ignored
	EnvFault = "FAKE_FAULT"
	// EnvDelay is how long each step takes, as "20ms".
	EnvDelay = "FAKE_STEP_DELAY"
)

// Fault is one thing that goes wrong.
type Fault struct {
	Kind    string
	Arg     string
	Step    int64
	Attempt int // 0 = every
}

// ParseFaults reads EnvFault's form.
func ParseFaults(s string) ([]Fault, error) {
	var out []Fault
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		f := Fault{Step: 1}
		rest, attempt, ok := strings.Cut(part, "#")
		if ok {
			n, err := strconv.Atoi(attempt)
			if err != nil {
				return nil, fmt.Errorf("%s: %q is no attempt number", EnvFault, part)
			}
			f.Attempt = n
		}
		rest, step, ok := strings.Cut(rest, "@")
		if ok {
			n, err := strconv.ParseInt(step, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %q is no step number", EnvFault, part)
			}
			f.Step = n
		}
		f.Kind, f.Arg, _ = strings.Cut(rest, "=")
		switch f.Kind {
		case "crash", "kill", "panic", "hang", "nan", "fail", "torn", "silent", "garbage", "lie", "hide", "late", "stubborn":
		default:
			return nil, fmt.Errorf("%s: there is no fault %q", EnvFault, f.Kind)
		}
		out = append(out, f)
	}
	return out, nil
}

// faults are those of one attempt.
type faults struct {
	list  []Fault
	delay time.Duration
}

func loadFaults(attempt int) (faults, error) {
	var out faults
	list, err := ParseFaults(os.Getenv(EnvFault))
	if err != nil {
		return out, err
	}
	for _, f := range list {
		if f.Attempt == 0 || f.Attempt == attempt {
			out.list = append(out.list, f)
		}
	}
	if s := os.Getenv(EnvDelay); s != "" {
		if out.delay, err = time.ParseDuration(s); err != nil {
			return out, fmt.Errorf("%s: %w", EnvDelay, err)
		}
	}
	if _, ok := out.find("stubborn"); ok {
		signal.Ignore(syscall.SIGTERM)
	}
	return out, nil
}

func (f faults) find(kind string) (Fault, bool) {
	for _, x := range f.list {
		if x.Kind == kind {
			return x, true
		}
	}
	return Fault{}, false
}

// at lists the faults of a global step.
func (f faults) at(step int64) []Fault {
	var out []Fault
	for _, x := range f.list {
		if x.Step == step {
			out = append(out, x)
		}
	}
	return out
}
