// Package adaptertest is the suite that every adapter passes, in whatever
// language its steps are written. It starts steps as processes, as an executor
// does, kills and stops them, and looks at what they leave on disk. It never
// trusts what an adapter says of itself: each config field is changed once,
// and weights, metrics or schedule must change with it.
package adaptertest

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
)

// Harness is what the suite needs of an adapter's package.
type Harness struct {
	Adapter adapters.Adapter
	// Task returns a small training: two to four epochs of three steps or
	// more, with every checkpoint kept (KeepLast large) and Config holding the
	// schema's defaults that are active. RunDir, AttemptDir, Attempt and Resume
	// are set by the suite; folders it needs it may make under dir.
	Task func(t *testing.T, dir string) pipelines.Task
	// Weights returns the trained values in a checkpoint, and nothing that
	// only tells of the config. Nil = the files weights.* and *.safetensors,
	// or all files where there are none.
	Weights func(path string) ([]byte, error)
	// Change gives the values to which fields are changed; the suite thinks
	// of one itself for the others.
	Change map[string]any
	// With gives what else must be set for a change of a field to show, beside
	// its conditions.
	With map[string]map[string]any
	// Skip names fields that are not changed, each with the reason.
	Skip map[string]string
	// Unsupported is a field and value that cannot be had on this device.
	Unsupported map[string]any
	// Inexact says why two equal trainings may differ; "" = they may not, and
	// a resumed training ends with the same bytes as an uninterrupted one.
	Inexact string
	// Leave names checks that are not run here, each with the reason.
	Leave map[string]string
	// Slow is the longest that one training takes; 0 = 60 s.
	Slow time.Duration
	// Env is added to the environment of every step.
	Env map[string]string
}

// checks are the suite, in order of what one wants to know first.
var checks = []struct {
	name string
	run  func(*probe)
}{
	{"Description", checkDescription},
	{"Events", checkEvents},
	{"ConfigIsReported", checkConfigReported},
	{"Repeatable", checkRepeatable},
	{"EveryFieldCounts", checkEveryField},
	{"AttributesCount", checkAttributes},
	{"UnknownFieldIsRefused", checkUnknownField},
	{"UnsupportedFieldIsTold", checkUnsupported},
	{"KilledAndResumed", checkKilled},
	{"StoppedAndResumed", checkStopped},
	{"BrokenCheckpoint", checkBroken},
	{"NoCheckpoint", checkNoCheckpoint},
	{"StartResume", checkStartResume},
	{"StartWeights", checkStartWeights},
	{"LockIsHeld", checkLock},
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	u := &undisturbed{}
	dir := t.TempDir()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if why, ok := h.Leave[c.name]; ok {
				t.Skip(why)
			}
			p := newProbe(t, h, filepath.Join(dir, c.name), u)
			for _, f := range p.do(c.run) {
				t.Error(f)
			}
			if p.skipped != "" {
				t.Skip(p.skipped)
			}
		})
	}
}

// Failures runs the named checks and returns what they found, by check,
// without failing t: it is how the suite itself is tested.
func Failures(t *testing.T, h Harness, names ...string) map[string][]string {
	out, dir := map[string][]string{}, t.TempDir()
	for _, c := range checks {
		if !slices.Contains(names, c.name) {
			continue
		}
		if f := newProbe(t, h, filepath.Join(dir, c.name), &undisturbed{}).do(c.run); len(f) > 0 {
			out[c.name] = f
		}
	}
	return out
}
