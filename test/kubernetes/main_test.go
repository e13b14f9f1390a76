// Package kubernetes runs the Kubernetes executor against a real control
// plane: API server, controller manager, scheduler and etcd are Kubernetes'
// own, built from module k8s.io/kubernetes; kubelets are stand-ins that run a
// container's command as a process (package cluster). `make test-kubernetes`
// builds the control plane once; without it these tests skip.
package kubernetes

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/adaptertest/fake"
	"github.com/trainwright/trainwright/adapters/native"
	"github.com/trainwright/trainwright/adapters/native/step"
	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/internal/cli"
	"github.com/trainwright/trainwright/runner/executor/executortest"
	"github.com/trainwright/trainwright/runner/executor/kubernetes"
	"github.com/trainwright/trainwright/test/kubernetes/cluster"
)

var (
	build = flag.Bool("build", false, "build the control plane first, unless it is there")
	whole = flag.Bool("demo", false, "train examples/glyphs whole in TestDemo, instead of two epochs")
)

// lab is the cluster that all tests share.
var lab *cluster.Cluster

// work is the folder that runner and pods share: the claim "work".
var work string

// private is a folder that pods do not see.
var private string

// What a follower's process gets: the work folder, or a gateway's address.
const (
	envWork   = "TEST_KUBERNETES_WORK"
	envBucket = "TEST_KUBERNETES_BUCKET"
)

// TestMain makes this test binary the runner, with the fake adapter, the step
// of executortest, and a runner to be killed, unless it is started as a test.
func TestMain(m *testing.M) {
	cluster.Contain()
	torchrun()
	executortest.Main()
	switch {
	case len(os.Args) == 3 && os.Args[1] == "follow":
		work = os.Getenv(envWork)
		x := &kubernetes.Executor{Config: config(os.Getenv("KUBECONFIG"))}
		if address := os.Getenv(envBucket); address != "" {
			x.Config.Volumes, x.Bucket = nil, bucket(address)
		}
		executortest.Follow(x, os.Args[2])
	case len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test."):
		os.Exit(cli.Run(context.Background(), cli.Config{
			Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: os.Environ(),
			Adapters: append(fake.Registry(), native.Adapter{}), Steps: steps(), Now: time.Now,
		}))
	}
	flag.Parse()
	os.Exit(run(m))
}

// torchrun makes "python3 -m torch.distributed.run FLAGS -m MODULE TASK …" the
// step of executortest, which can say what the flags were.
func torchrun() {
	if len(os.Args) < 3 || os.Args[2] != "torch.distributed.run" {
		return
	}
	i := 3
	for i < len(os.Args) && os.Args[i] != "-m" {
		i++
	}
	if i+2 > len(os.Args) || os.Setenv("TORCHRUN", strings.Join(os.Args[3:i], " ")) != nil {
		os.Exit(2)
	}
	os.Args = append([]string{os.Args[0], "executortest"}, os.Args[i+2:]...)
}

func steps() map[string]adapters.StepFunc {
	all := maps.Clone(fake.Steps())
	all[native.Name] = step.Run
	return all
}

// imageEnv is what the runner's image says of itself.
func imageEnv() []string {
	if library, err := ort.Find(); err == nil {
		return []string{ort.EnvLib + "=" + library}
	}
	return nil
}

func run(m *testing.M) int {
	binary, _, err := cluster.Binary("controlplane")
	if err == nil && *build {
		binary, err = cluster.Build("controlplane")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if _, err := os.Stat(binary); err != nil {
		return m.Run() // tests skip
	}
	dir, err := os.MkdirTemp("", "kubernetes-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	work, private = filepath.Join(dir, "work"), filepath.Join(dir, "private")
	ctx := context.Background()
	code := 1
	err = errors.Join(os.MkdirAll(work, 0o755), os.MkdirAll(private, 0o755))
	if err == nil {
		lab, err = cluster.Start(ctx, binary, dir)
	}
	if err == nil {
		defer lab.Stop()
		err = lab.Claim(ctx, "default", "work", work)
	}
	for i := 1; err == nil && i <= 2; i++ {
		var n *cluster.Node
		if n, err = lab.AddNode(ctx, fmt.Sprintf("node-%d", i), cluster.NodeOptions{GPUs: 2, LogSize: 1 << 20, ImageEnv: imageEnv(), Hide: []string{private}}); err == nil {
			nodes = append(nodes, n)
			defer n.Stop()
		}
	}
	if err == nil {
		code = m.Run()
	}
	if err != nil || code != 0 {
		fmt.Fprintln(os.Stderr, err, lab.LogTail())
	}
	return code
}

var nodes []*cluster.Node

func needCluster(t *testing.T) {
	t.Helper()
	if lab == nil {
		t.Skip("the control plane is not built: make test-kubernetes builds it (some minutes, once)")
	}
}

// config is an executor block for the tests: the image holds this binary.
func config(kubeconfig string) kubernetes.Config {
	exe, err := os.Executable()
	if err != nil {
		panic(err) // nothing works without it
	}
	return kubernetes.Config{Kubeconfig: kubeconfig, Namespace: "default", Image: "registry.invalid/runner:test", Runner: exe, Python: exe,
		Volumes: []kubernetes.Volume{{Claim: "work", Path: work}}}
}

func newExecutor(t *testing.T, change func(*kubernetes.Config)) *kubernetes.Executor {
	t.Helper()
	needCluster(t)
	c := config(lab.Kubeconfig)
	if change != nil {
		change(&c)
	}
	x, err := kubernetes.New(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

var folders atomic.Int64

// folder is an empty folder that pods see too.
func folder(t *testing.T) string { return folderIn(t, work) }

func folderIn(t *testing.T, parent string) string {
	t.Helper()
	dir := filepath.Join(parent, fmt.Sprintf("t%d", folders.Add(1)))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
