// Package adaptertest is the suite that every adapter passes, in whatever
// language its steps are written. It starts steps as processes, as an executor
// does, kills and stops them, and looks at what they leave on disk. It never
// trusts what an adapter says of itself: each config field is changed once,
// and weights, metrics or schedule must change with it.
package adaptertest

import (
	"context"
	"path/filepath"
	"slices"
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
	Task func(dir string) (pipelines.Task, error)
	// Weights returns the trained values in a checkpoint, and nothing that
	// only tells of the config. Nil = the numbers of a torch file, the files
	// weights.* and *.safetensors, or all files where there are none.
	Weights func(path string) ([]byte, error)
	// Change gives the values to which fields are changed; the suite thinks
	// of one itself for the others.
	Change map[string]any
	// With gives what else must be set for a change of a field to show, beside
	// its conditions.
	With map[string]map[string]any
	// Skip names fields that are not changed, each with the reason that is told,
	// if any. Of a field for which nothing is given above, several values are tried.
	Skip map[string]string
	// Unsupported is a field and value that cannot be had on this device.
	Unsupported map[string]any
	// Inexact says why two equal trainings may differ; "" = they may not, and
	// a resumed training ends with the same bytes as an uninterrupted one.
	Inexact string
	// Exact tells of an adapter's checkpoint whether a training that resumed
	// from it must end with the same numbers as an uninterrupted one; nil = yes.
	// Of others the same epochs and the same metrics are asked for.
	Exact func(checkpoint string) bool
	// WholeEpochs is of an adapter that goes on from whole epochs only: stopped
	// within its first, it need not leave a checkpoint.
	WholeEpochs bool
	// Bad returns a training whose data cannot be read, and what its error
	// must name; nil = not checked.
	Bad func(dir string) (task pipelines.Task, name string, err error)
	// PerClass asks for metrics of each class.
	PerClass bool
	// Leave names checks that are not run here, each with the reason.
	Leave map[string]string
	// Parallel is how many fields are changed at once; 0 = one.
	Parallel int
	// Slow is the longest that one training takes; 0 = 60 s.
	Slow time.Duration
	// Env is added to the environment of every step.
	Env map[string]string
}

// checks are the suite, in order of what one wants to know first. fix tells an
// adapter's author what to do about a failure.
var checks = []struct {
	name string
	fix  string
	run  func(*probe)
}{
	{"Description", "mend what get_models, get_advanced_config_schema or get_config_presets return", checkDescription},
	{"Events", "report each epoch (log_metrics, _save_validation_result) before its checkpoint, checkpoints/{epoch_N,latest,best} with each epoch", checkEvents},
	{"PerClassMetrics", "hand per_class_metrics={class: {metric: value}} to _save_validation_result", checkPerClass},
	{"ConfigIsReported", "applied_config() must return each field's value, read back from the objects that were built", checkConfigReported},
	{"Repeatable", "call platform_sdk.training.seed_everything(training_config.seed) first, and let the order of samples follow from the seed", checkRepeatable},
	{"EveryFieldCounts", "use the setting where the model, the optimizer, the schedule or the data are built, or take the field out of get_advanced_config_schema", checkEveryField},
	{"AttributesCount", "use training_config.epochs, batch_size, learning_rate and seed", checkAttributes},
	{"UnknownFieldIsRefused", "read settings by their names; copying the whole config counts as reading all of it", checkUnknownField},
	{"UnsupportedFieldIsTold", "let applied_config() return what is in force, not what was asked for", checkUnsupported},
	{"KilledAndResumed", "with resume_training go on after start_epoch from checkpoint_path; platform_sdk.checkpoints.save and load keep all of it", checkKilled},
	{"StoppedAndResumed", "let platform_sdk.Stop pass through; write save_on_stop() to keep what was trained since the last epoch", checkStopped},
	{"BrokenCheckpoint", "write checkpoints with platform_sdk.checkpoints.save, or torch.save to checkpoints/epoch_N.pth", checkBroken},
	{"NoCheckpoint", "with checkpoint_path = None start anew, whatever lies in output_dir", checkNoCheckpoint},
	{"StartResume", "with resume_training go on after start_epoch from checkpoint_path, wherever it lies", checkStartResume},
	{"StartWeights", "without resume_training load the weights of checkpoint_path, and nothing else", checkStartWeights},
	{"BadData", "let the error that names the file end the training; do not train without the file", checkBad},
	{"LockIsHeld", "do not detach from the step's process", checkLock},
}

// Failure is one thing that is wrong with an adapter.
type Failure struct {
	Field string `json:"field,omitempty"` // the config field that it is about
	What  string `json:"what"`
}

// Finding is what one check found.
type Finding struct {
	Check    string        `json:"check"`
	Failures []Failure     `json:"failures,omitempty"`
	Fix      string        `json:"fix,omitempty"`      // of failures
	Skipped  string        `json:"skipped,omitempty"`  // why it was not run
	LeftOut  []Failure     `json:"left_out,omitempty"` // fields that were not changed, and why
	Took     time.Duration `json:"took_ns"`
}

// Names lists the checks.
func Names() []string {
	names := make([]string, len(checks))
	for i, c := range checks {
		names[i] = c.name
	}
	return names
}

// Check runs the named checks, all without names, in a folder of its own, and
// tells of each as it ends. Its error is that of ctx, or of what stands in the
// way of every check.
func Check(ctx context.Context, h Harness, dir string, names []string, tell func(Finding)) error {
	u := &undisturbed{}
	for _, c := range checks {
		if len(names) > 0 && !slices.Contains(names, c.name) {
			continue
		}
		started := time.Now()
		f := Finding{Check: c.name, Skipped: h.Leave[c.name]}
		if f.Skipped == "" {
			p := newProbe(ctx, h, filepath.Join(dir, c.name), u)
			if f.Failures = p.do(c.run); len(f.Failures) > 0 {
				f.Fix = c.fix
			}
			f.Skipped, f.LeftOut = p.skipped, p.leftOut
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		f.Took = time.Since(started)
		tell(f)
	}
	return nil
}

// tester is *testing.T; this package is also part of a command.
type tester[T any] interface {
	Run(name string, f func(T)) bool
	Context() context.Context
	TempDir() string
	Error(args ...any)
	Skip(args ...any)
}

// Run runs the suite as subtests.
func Run[T tester[T]](t T, h Harness) {
	u, dir := &undisturbed{}, t.TempDir()
	for _, c := range checks {
		t.Run(c.name, func(t T) {
			if why, ok := h.Leave[c.name]; ok {
				t.Skip(why)
			}
			p := newProbe(t.Context(), h, filepath.Join(dir, c.name), u)
			for _, f := range p.do(c.run) {
				t.Error(f.What)
			}
			if p.skipped != "" {
				t.Skip(p.skipped)
			}
		})
	}
}
