package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/internal/cli/view"
)

// finding is one thing that doctor looked at.
type finding struct {
	Name  string `json:"name"`
	State string `json:"state"` // ok | missing | warning
	Text  string `json:"text"`
	Help  string `json:"help,omitempty"` // what to do
}

func newDoctorCmd(a *app) *cobra.Command {
	var fetch bool
	c := describe(&cobra.Command{
		Use:   "doctor",
		Short: "Look whether this machine can train, and say what is missing",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if fetch {
				if _, err := a.fetchORT(c.Context()); err != nil {
					return err
				}
			}
			findings := a.diagnose(c.Context())
			missing := false
			for _, f := range findings {
				missing = missing || f.State == "missing"
			}
			err := a.show(map[string]any{"ready": !missing, "findings": findings}, func(w io.Writer) { writeFindings(w, a.style(a.Stdout), findings) })
			if err == nil && missing {
				return exitStatus(exitError)
			}
			return err
		},
	}, `
Looks at what native training needs (the ONNX Runtime library, processor,
memory, disk, cache) and at what only some things need (python3 with pip, git,
GPU, driver, cuDNN and provider, a Dagger engine, the clusters of executor
"kubernetes" blocks and the rights there). What is missing is explained, with
what to do. Exits with 1 when native training would not start.`)
	c.Flags().BoolVar(&fetch, "fetch", false, "obtain the ONNX Runtime library first, as init does")
	return c
}

func (a *app) diagnose(ctx context.Context) []finding {
	v := buildVersion()
	out := []finding{
		{Name: "runner", State: "ok", Text: fmt.Sprintf("%s, %s, %s", v.Version, v.Go, v.Platform)},
		diagnoseORT(),
		diagnoseCPU(),
		diagnoseMemory(),
		diagnoseDisk("disk", a.path(".")),
	}
	if cache, err := ort.CacheDir(); err == nil {
		out = append(out, diagnoseDisk("cache", cache))
	}
	out = append(out, diagnosePython(ctx), diagnoseTool("git", "commits are recorded with applies"))
	out = append(out, diagnoseGPU("/")...)
	out = append(out, diagnoseDagger(ctx)...)
	return append(out, a.diagnoseKubernetes(ctx)...)
}

func diagnoseORT() finding {
	f := finding{Name: "onnxruntime"}
	path, err := ort.Find()
	if err != nil {
		f.State, f.Text = "missing", err.Error()
		f.Help = "run `runner init` (it needs python3 with pip once, to download), or set " + ort.EnvLib + " to the path of libonnxruntime.so"
		return f
	}
	rt, err := ort.Open(path)
	if err != nil {
		f.State, f.Text = "missing", err.Error()
		f.Help = "set " + ort.EnvLib + " to a working libonnxruntime " + ort.Version + ", or remove the file and run `runner init`"
		return f
	}
	providers, err := rt.Providers()
	if err != nil {
		f.State, f.Text = "missing", err.Error()
		return f
	}
	f.State, f.Text = "ok", fmt.Sprintf("%s at %s (%s)", rt.Version(), rt.Path(), strings.Join(providers, ", "))
	if v := rt.Version(); v != ort.Version && (v != ort.GPUVersion || !rt.HasCUDA()) {
		f.State = "warning"
		f.Help = "results are tested with version " + ort.Version
	}
	return f
}

// isaFlags are the instruction sets that decide which kernels run, best first.
var isaFlags = []string{"amx_bf16", "avx512_bf16", "avx512_vnni", "avx512f", "avx2", "avx", "sse4_2", "asimd"}

func diagnoseCPU() finding {
	f := finding{Name: "cpu", State: "ok"}
	text, _ := os.ReadFile("/proc/cpuinfo") // absent elsewhere: then nothing is said of it
	var flags, model string
	for _, line := range strings.Split(string(text), "\n") {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "flags", "Features":
			flags = " " + strings.TrimSpace(value) + " "
		case "model name":
			model = strings.TrimSpace(value)
		}
	}
	var have []string
	for _, isa := range isaFlags {
		if strings.Contains(flags, " "+isa+" ") {
			have = append(have, isa)
		}
	}
	f.Text = strings.TrimSpace(fmt.Sprintf("%d threads %s %s", runtime.NumCPU(), model, strings.Join(have, " ")))
	if runtime.GOARCH == "amd64" && flags != "" && !strings.Contains(flags, " avx2 ") {
		f.State, f.Help = "warning", "without AVX2 training is several times slower"
	}
	return f
}

func diagnoseMemory() finding {
	f := finding{Name: "memory", State: "ok", Text: "unknown"}
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return f
	}
	var total, available uint64
	for _, line := range strings.Split(string(text), "\n") {
		_, _ = fmt.Sscanf(line, "MemTotal: %d kB", &total)         // other lines do not match
		_, _ = fmt.Sscanf(line, "MemAvailable: %d kB", &available) // likewise
	}
	f.Text = fmt.Sprintf("%.1f GiB, %.1f GiB free", float64(total)/(1<<20), float64(available)/(1<<20))
	if available > 0 && available < 1<<20 {
		f.State, f.Help = "warning", "less than 1 GiB is free; large batches may end in oom"
	}
	return f
}

// diagnoseDisk looks at the file system of path, or of its nearest folder that exists.
func diagnoseDisk(name, path string) finding {
	f := finding{Name: name, State: "ok"}
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	dir := abs
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		f.State, f.Text = "warning", err.Error()
		return f
	}
	free := st.Bavail * uint64(st.Bsize)
	f.Text = fmt.Sprintf("%s, %.1f GiB free", abs, float64(free)/(1<<30))
	if free < 1<<30 {
		f.State, f.Help = "warning", "less than 1 GiB is free; checkpoints need room"
	}
	return f
}

func diagnosePython(ctx context.Context) finding {
	f := finding{Name: "python", State: "ok"}
	path, err := exec.LookPath("python3")
	if err != nil {
		return finding{Name: "python", State: "warning", Text: "no python3", Help: "native training does not need it; `runner init` needs python3 with pip once, to download ONNX Runtime, and Python adapters need it always"}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// Asking pip itself takes a second; its metadata is as good.
	version, err := exec.CommandContext(ctx, path, "-c", "import importlib.metadata as m; print('pip', m.version('pip'))").Output()
	if err != nil {
		return finding{Name: "python", State: "warning", Text: path + ", without pip", Help: "install pip (package python3-pip), or set " + ort.EnvLib}
	}
	f.Text = path + ", " + strings.TrimSpace(string(version))
	return f
}

func diagnoseTool(name, use string) finding {
	path, err := exec.LookPath(name)
	if err != nil {
		return finding{Name: name, State: "warning", Text: "not found", Help: use + " once it is installed"}
	}
	return finding{Name: name, State: "ok", Text: path}
}

func writeFindings(w io.Writer, st view.Style, findings []finding) {
	for _, f := range findings {
		mark := st.Green("✓")
		switch f.State {
		case "missing":
			mark = st.Red("✗")
		case "warning":
			mark = st.Yellow("!")
		}
		fmt.Fprintf(w, "%s %-12s %s\n", mark, f.Name, f.Text)
		if f.Help != "" {
			fmt.Fprintf(w, "  %-12s %s\n", "", f.Help)
		}
	}
}
