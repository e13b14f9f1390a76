package cli

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/native"
	"github.com/trainwright/trainwright/adapters/native/step"
	"github.com/trainwright/trainwright/adapters/python"
	"github.com/trainwright/trainwright/adapters/timm"
	"github.com/trainwright/trainwright/adapters/transformers"
	"github.com/trainwright/trainwright/adapters/ultralytics"
	"github.com/trainwright/trainwright/datasets"
	fetched "github.com/trainwright/trainwright/datasets/remote"
	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/dagger"
	"github.com/trainwright/trainwright/runner/executor/kubernetes"
	"github.com/trainwright/trainwright/runner/executor/local"
	"github.com/trainwright/trainwright/runner/executor/remote"
	"github.com/trainwright/trainwright/web/submit"
)

// defaultAdapters lists the adapters of this program.
func defaultAdapters() adapters.Registry {
	host := pythonHost(os.LookupEnv)
	return adapters.Registry{
		native.Adapter{},
		timm.New(host),
		ultralytics.New(host),
		transformers.New(host),
	}
}

// pythonHost is this machine, as Python adapters see it.
func pythonHost(lookup func(string) (string, bool)) python.Host {
	cache, err := userCache()
	if err != nil { // no home: environments lie where temporary files do
		cache = filepath.Join(os.TempDir(), "trainwright")
	}
	return python.Host{Cache: cache, Lookup: lookup}
}

// defaultSteps lists what `runner step` can run in this process, by adapter.
func defaultSteps() map[string]adapters.StepFunc {
	return map[string]adapters.StepFunc{native.Name: step.Run}
}

// newDatasets looks at data; what it read is remembered in the user's cache.
func newDatasets() *datasets.Catalog {
	cache, err := userCache()
	if err != nil {
		return &datasets.Catalog{} // remembers within this process
	}
	return &datasets.Catalog{CacheFile: filepath.Join(cache, "datasets.gob")}
}

// newData looks at data here and elsewhere.
func (a *app) newData() *data {
	cache, err := userCache()
	if err != nil {
		cache = filepath.Join(os.TempDir(), "trainwright")
	}
	return &data{Catalog: newDatasets(), cache: fetched.Cache{Dir: filepath.Join(cache, "datasets"), Open: a.openDataBucket, Progress: a.dataProgress()}}
}

// userCache is the program's folder in the user's cache.
func userCache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "trainwright"), nil
}

// executorHost is what executors get of this program.
type executorHost struct {
	// env is what local steps inherit, and the clients of those in containers,
	// which pass nothing of it on.
	env []string
	// publicOnly keeps steps from servers at private addresses: a stranger
	// named them.
	publicOnly bool
	// services are servers that the operator named.
	services []submit.Service
	// bucket carries the folders of runs to pods that see no volume of this
	// machine; nil = none does.
	bucket *kubernetes.Bucket
}

// executorFactory makes the executor of a block; the zero config is this machine.
func executorFactory(x executorHost) func(pipelines.ExecutorConfig) (runner.Executor, error) {
	here := &local.Executor{Environ: x.env}
	return func(c pipelines.ExecutorConfig) (runner.Executor, error) {
		switch c.Type {
		case "", "local":
			return here, nil
		case "dagger":
			config, err := dagger.Parse(c)
			if err != nil {
				return nil, err
			}
			exe, err := os.Executable()
			return &dagger.Executor{Config: config, Host: here, Program: exe, Library: ort.Find, LibraryVersion: ort.GPUVersion}, err
		case "kubernetes":
			cfg, err := kubernetes.ParseConfig(c)
			if err != nil {
				return nil, err
			}
			return kubernetes.New(cfg, x.bucket)
		case "remote":
			config, err := remote.Parse(c)
			if err != nil {
				return nil, err
			}
			own := slices.ContainsFunc(x.services, func(s submit.Service) bool { return s.URL == config.URL })
			exe, err := os.Executable()
			return &remote.Executor{Config: config, Host: here, Program: exe, PublicOnly: x.publicOnly && !own}, err
		}
		return nil, pipelines.Errorf(pipelines.CodeUnavailable, "executor %q is not available in this version; known: local, dagger, kubernetes, remote", c.Type)
	}
}

// countGPUs is how many CUDA devices local training may use: those of the
// machine, if the ONNX Runtime found has its CUDA provider beside it.
func countGPUs() int {
	library, err := ort.Find()
	if err != nil {
		return 0
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(library), "libonnxruntime_providers_cuda.so")); err != nil {
		return 0
	}
	return hostGPUs()
}

// hostGPUs is how many NVIDIA devices this machine has.
func hostGPUs() int {
	devices, err := filepath.Glob("/dev/nvidia[0-9]*")
	if err != nil {
		return 0
	}
	return len(devices)
}
