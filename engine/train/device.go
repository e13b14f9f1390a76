package train

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/cpu"

	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/ort"
)

// device is where graphs run and how their sessions are made.
type device struct {
	name      string // cpu, cuda:0
	id        int    // of a CUDA device
	fallback  bool   // operators that the provider does not take run on the CPU
	staged    bool   // its memory cannot be read or written directly
	provider  lower.Provider
	precision lower.Precision // of convolutions and matrix products
	block     int             // lower.Options.Block
	options   ort.Options
}

// openRuntime loads ONNX Runtime from path, or from where it is found.
func openRuntime(path string) (*ort.Runtime, error) {
	if path == "" {
		var err error
		if path, err = ort.Find(); err != nil {
			return nil, err
		}
	}
	return ort.Open(path)
}

// newDevice resolves a device name: auto is the first CUDA device that works,
// else the CPU. threads is 0 for one per processor.
func newDevice(rt *ort.Runtime, name string, threads int) (device, error) {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	cpu := device{name: "cpu", provider: lower.CPU, precision: lower.Float32,
		// Loading images goes on beside the graph, so idle threads sleep; the
		// graphs run one at a time, so they share their memory.
		options: ort.Options{IntraThreads: threads, InterThreads: 1, NoSpinning: true, SharedArena: true}}
	kind, number, numbered := strings.Cut(name, ":")
	switch {
	case name == "cpu":
		return cpu, nil
	case name == "" || name == "auto":
		if rt.HasCUDA() {
			if d, err := newCUDA(rt, cpu, 0); err == nil {
				return d, nil
			}
		}
		return cpu, nil
	case kind == "cuda":
		id, err := strconv.Atoi(number)
		if numbered && (err != nil || id < 0) {
			return device{}, fmt.Errorf("device %q: want cuda or cuda:N, N counted from 0", name)
		}
		return newCUDA(rt, cpu, id)
	}
	return device{}, fmt.Errorf("unknown device %q: use auto, cpu, cuda or cuda:N", name)
}

// newCUDA makes sure that the CUDA device of that number works, by copying something there.
func newCUDA(rt *ort.Runtime, d device, id int) (device, error) {
	d.name, d.provider, d.id, d.staged = fmt.Sprintf("cuda:%d", id), lower.CUDA, id, true
	var err error
	if d.options.CUDA, d.options.Config, err = cudaOptions(id, os.Getenv); err != nil {
		return device{}, fmt.Errorf("device %s: %w", d.name, err)
	}
	d.fallback = len(d.options.Config) == 0
	if !rt.HasCUDA() {
		return device{}, fmt.Errorf("device %s: ONNX Runtime %s at %s has no CUDA provider; set %s to the library of onnxruntime-gpu, or use device = \"cpu\"",
			d.name, rt.Version(), rt.Path(), ort.EnvLib)
	}
	c := rt.NewCopier(d.options)
	defer c.Close()
	if err := c.Probe(); err != nil {
		return device{}, fmt.Errorf("device %s: %w", d.name, libraryAdvice(err))
	}
	return d, nil
}

// environment is what decides the last bits of results.
func (d device) environment(rt *ort.Runtime) map[string]string {
	level := string(d.options.Optimization)
	if level == "" {
		level = "all"
	}
	kernels := "standard"
	if d.block > 0 {
		kernels = fmt.Sprintf("channels in blocks of %d", d.block)
	}
	return map[string]string{
		"onnxruntime":  rt.Version(),
		"provider":     string(d.provider),
		"threads":      strconv.Itoa(d.options.IntraThreads),
		"optimization": level,
		"kernels":      kernels,
		"platform":     runtime.GOOS + "/" + runtime.GOARCH,
		"isa":          isa(),
	}
}

// isa names the widest vector instructions, by which ONNX Runtime chooses its kernels.
func isa() string {
	switch {
	case cpu.X86.HasAVX512VNNI:
		return "avx512_vnni"
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL:
		return "avx512"
	case cpu.X86.HasAVX2 && cpu.X86.HasFMA:
		return "avx2"
	case cpu.X86.HasSSE41:
		return "sse4.1"
	case cpu.ARM64.HasSVE:
		return "sve"
	case cpu.ARM64.HasASIMDDP:
		return "asimddp"
	}
	return "baseline"
}

// differences compares two environments: "2 -> 4" by key.
func differences(old, now map[string]string) map[string]string {
	diff := map[string]string{}
	for k, v := range now {
		if o, ok := old[k]; !ok || o != v {
			diff[k] = fmt.Sprintf("%s -> %s", o, v)
		}
	}
	for k, o := range old {
		if _, ok := now[k]; !ok {
			diff[k] = fmt.Sprintf("%s -> (none)", o)
		}
	}
	return diff
}
