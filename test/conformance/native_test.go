// Package conformance runs the suite for adapters on the adapters that train.
package conformance

import (
	"context"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/adaptertest"
	"github.com/trainwright/trainwright/adapters/native"
	"github.com/trainwright/trainwright/adapters/native/step"
	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/internal/conformance"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// TestMain makes this test binary the program of native steps.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "step" {
		os.Exit(spool.RunStep(context.Background(), os.Args[2], func(pipelines.Task) (spool.StepFunc, error) { return step.Run, nil }))
	}
	os.Exit(m.Run())
}

var all = flag.Bool("all", false, "also change every field and attribute, which takes a minute or more for each adapter")

func TestNative(t *testing.T) {
	if _, err := ort.Find(); err != nil {
		t.Skipf("needs the ONNX Runtime library: %v", err)
	}
	run(t, native.Adapter{}, conformance.Options{Model: "convnet", ImageSize: 16})
}

// run runs the suite on an adapter; of its longest checks only with -all.
func run(t *testing.T, a adapters.Adapter, o conformance.Options) {
	t.Helper()
	o.Slow, o.Parallel = 5*time.Minute, 2
	h, _, err := conformance.Harness(t.Context(), a, t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !*all {
		h.Leave = map[string]string{}
		for _, check := range []string{"EveryFieldCounts", "AttributesCount"} {
			h.Leave[check] = "takes a minute or more; -all is not set"
		}
	}
	adaptertest.Run(t, h)
}
