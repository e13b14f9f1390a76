package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDoctorTellsOfGPUs(t *testing.T) {
	root := t.TempDir()
	if got := diagnoseGPU(root); len(got) != 1 || !strings.HasPrefix(got[0].Text, "none") {
		t.Errorf("without a GPU: %+v", got)
	}
	for path, text := range map[string]string{
		"dev/nvidia0": "", "dev/nvidiactl": "",
		"proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA A10\nIRQ: 1\n",
		"proc/driver/nvidia/version":                       "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue\nGCC version: 12\n",
		"usr/lib/x86_64-linux-gnu/libcudnn.so.9":           "",
	} {
		p := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("LD_LIBRARY_PATH", "")
	all := ""
	for _, f := range diagnoseGPU(root) {
		all += f.Name + " " + f.State + " " + f.Text + "\n"
	}
	for _, want := range []string{"gpu ok 1: NVIDIA A10\n", "gpu driver ok NVIDIA UNIX x86_64 Kernel Module 550.54.15 Tue\n", "libcudnn.so.9\n", "provider"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in:\n%s", want, all)
		}
	}
	if err := os.RemoveAll(filepath.Join(root, "proc")); err != nil {
		t.Fatal(err)
	}
	if got := diagnoseGPU(root); got[1].State != "warning" || got[1].Help == "" {
		t.Errorf("without a driver: %+v", got[1])
	}
}
