package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/runner/executor/dagger"
)

// diagnoseGPU tells of GPUs, their driver, cuDNN and ONNX Runtime's provider.
// root is "/" but in tests.
func diagnoseGPU(root string) []finding {
	devices, err := filepath.Glob(filepath.Join(root, "dev", "nvidia[0-9]*"))
	if err != nil || len(devices) == 0 {
		return []finding{{Name: "gpu", State: "ok", Text: "none: device = \"auto\" trains on the CPU"}}
	}
	out := []finding{{Name: "gpu", State: "ok", Text: gpuNames(root, len(devices))}}
	driver := finding{Name: "gpu driver", State: "ok"}
	if text, err := os.ReadFile(filepath.Join(root, "proc", "driver", "nvidia", "version")); err == nil {
		line, _, _ := strings.Cut(string(text), "\n")
		driver.Text = strings.Join(strings.Fields(strings.TrimPrefix(line, "NVRM version:")), " ")
	} else {
		driver.State, driver.Text, driver.Help = "warning", "not loaded", "install the NVIDIA driver; `nvidia-smi` must work"
	}
	return append(out, driver, diagnoseCUDNN(root), diagnoseProvider())
}

// gpuNames lists the models of the devices.
func gpuNames(root string, n int) string {
	files, err := filepath.Glob(filepath.Join(root, "proc", "driver", "nvidia", "gpus", "*", "information"))
	if err != nil {
		files = nil
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if model, ok := strings.CutPrefix(line, "Model:"); ok {
				names = append(names, strings.TrimSpace(model))
			}
		}
	}
	if len(names) == 0 {
		return fmt.Sprintf("%d NVIDIA device(s)", n)
	}
	return fmt.Sprintf("%d: %s", n, strings.Join(names, ", "))
}

// diagnoseCUDNN looks for the library that the CUDA provider loads, where the
// loader looks for it.
func diagnoseCUDNN(root string) finding {
	var dirs []string
	dirs = append(dirs, filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))...)
	if library, err := ort.Find(); err == nil {
		dirs = append(dirs, filepath.Dir(library), filepath.Join(filepath.Dir(library), "..", "..", "nvidia", "cudnn", "lib"))
	}
	for _, d := range []string{"usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib", "usr/local/cuda/lib64"} {
		dirs = append(dirs, filepath.Join(root, d))
	}
	for _, d := range dirs {
		found, err := filepath.Glob(filepath.Join(d, "libcudnn.so.*"))
		if err == nil && len(found) > 0 {
			slices.Sort(found)
			return finding{Name: "cudnn", State: "ok", Text: found[len(found)-1]}
		}
	}
	return finding{Name: "cudnn", State: "warning", Text: "not found", Help: "install cuDNN 9 for your CUDA version; ONNX Runtime's CUDA provider needs it"}
}

func diagnoseProvider() finding {
	f := finding{Name: "provider", State: "ok", Text: "CUDA, beside the ONNX Runtime library"}
	if countGPUs() == 0 {
		f.State, f.Text = "warning", "ONNX Runtime has no CUDA provider: device = \"auto\" trains on the CPU"
		f.Help = "set " + ort.EnvLib + " to the library of the Python package onnxruntime-gpu " + ort.GPUVersion + ", or train with executor \"dagger\", which installs it"
	}
	return f
}

// diagnoseDagger tells whether steps could run in containers.
func diagnoseDagger(ctx context.Context) []finding {
	var out []finding
	for _, f := range dagger.Examine(ctx, hostGPUs()) {
		state := "ok"
		if f.Help != "" {
			state = "warning"
		}
		out = append(out, finding{Name: "dagger", State: state, Text: f.Text, Help: f.Help})
	}
	return out
}
