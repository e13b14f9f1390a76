package ort

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Ten thousand runs, with sessions and tensors made and closed between, leave
// no C object and no growing memory behind.
func TestRunsDoNotLeak(t *testing.T) {
	rt := open(t)
	before := rt.live.Load()
	s, err := rt.NewSession(nodeModel("Add", Float32, []string{"a", "b"}, []string{"c"}), Options{IntraThreads: 1})
	must(t, err)
	host, err := rt.NewCPUMemory()
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	run := func() {
		a, err := FromSlice(rt, Float32, make([]float32, 4096), 4096)
		must(t, err)
		b, err := s.NewBinding()
		must(t, err)
		must(t, b.Input("a", a))
		must(t, b.Input("b", a))
		must(t, b.OutputTo("c", host))
		must(t, b.Run(ctx))
		outs, err := b.Outputs()
		must(t, err)
		for _, o := range outs {
			o.Close()
		}
		b.Close()
		a.Close()
	}
	for range 1000 {
		run()
	}
	start := resident(t)
	for range 10000 {
		run()
	}
	if grown := resident(t) - start; grown > 8<<20 {
		t.Errorf("10,000 runs grew memory by %d bytes", grown)
	}
	host.Close()
	s.Close()
	if now := rt.live.Load(); now != before {
		t.Errorf("%d C objects were not closed", now-before)
	}
}

// resident returns the process's resident memory in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skipf("needs /proc/self/statm: %v", err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	must(t, err)
	return pages * int64(os.Getpagesize())
}
