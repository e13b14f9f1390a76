package train

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/ort"
)

func TestCUDAOptions(t *testing.T) {
	env := func(options, fallback string) func(string) string {
		return func(name string) string {
			return map[string]string{EnvCUDAOptions: options, EnvCUDAFallback: fallback}[name]
		}
	}
	provider, session, err := cudaOptions(1, env(" gpu_mem_limit=1024 , cudnn_conv_algo_search=HEURISTIC", ""))
	want := map[string]string{"device_id": "1", "gpu_mem_limit": "1024", "cudnn_conv_algo_search": "HEURISTIC"}
	if err != nil || !maps.Equal(provider, want) || len(session) != 1 {
		t.Errorf("%v, %v, %v", provider, session, err)
	}
	if _, session, err := cudaOptions(0, env("", "1")); err != nil || len(session) != 0 {
		t.Errorf("fallback allowed: %v, %v", session, err)
	}
	for _, bad := range []string{"gpu_mem_limit", "gpu_mem_limit=8GB", "device_id=3", "=x"} {
		if _, _, err := cudaOptions(0, env(bad, "")); err == nil || !strings.Contains(err.Error(), EnvCUDAOptions) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestFallbackIsRefused makes a session in which everything falls back: ONNX
// Runtime's refusal is the one that the advice is for.
func TestFallbackIsRefused(t *testing.T) {
	path, err := ort.Find()
	if err != nil {
		t.Skip(err)
	}
	rt, err := ort.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	_, session, err := cudaOptions(0, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	g := graph.New("one")
	g.Output("y", g.Exp(g.Input("x", graph.Float32, 2)))
	_, err = compile(rt, g, device{name: "cpu", provider: lower.CPU, precision: lower.Float32, options: ort.Options{Config: session}})
	if err == nil || !strings.Contains(err.Error(), EnvCUDAFallback) {
		t.Errorf("got %v", err)
	}
}

func TestAllowedFallbackIsTold(t *testing.T) {
	cfg := halfOnCPU(small(t))
	adjust := cfg.adjust
	cfg.adjust = func(d *device) { adjust(d); d.fallback = true }
	l := &eventLog{}
	tr, err := newTrainer(cfg, l.observe)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	if m := of[Message](l); len(m) != 1 || m[0].Level != "warning" || !strings.Contains(m[0].Text, EnvCUDAFallback) || !strings.Contains(m[0].Text, "none is known") {
		t.Errorf("told %+v", m)
	}
}

func TestAMissingLibraryIsAdvisedOn(t *testing.T) {
	for text, want := range map[string]string{
		"libcublasLt.so.13: cannot open shared object file": "LD_LIBRARY_PATH",
		"libcuda.so.1: cannot open shared object file":      "NVIDIA driver",
		"CUDA failure 35": "",
	} {
		err := libraryAdvice(errors.New(text))
		if !strings.HasPrefix(err.Error(), text) || !strings.Contains(err.Error(), want) || want == "" && err.Error() != text {
			t.Errorf("%q: %v, want advice on %q", text, err, want)
		}
	}
}
