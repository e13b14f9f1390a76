package kubernetes

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// Config is an executor block. Empty fields leave the choice to the cluster.
type Config struct {
	Kubeconfig string // path; "" = $KUBECONFIG, ~/.kube/config, or the pod's own account inside a cluster
	Context    string
	Namespace  string // "" = that of the context

	Image            string // holds the runner, or the Python adapter and the runner
	ImagePullPolicy  string
	ImagePullSecrets []string
	Runner           string // the runner in the image; "" = "runner", found in PATH
	Python           string // the Python in the image; "" = "python3"

	CPUs         float64 // requested, not limited: a limit throttles data loading
	Memory       string  // requested and limited
	GPUs         int     // per pod
	GPUResource  string  // "" = nvidia.com/gpu
	SharedMemory string  // size of /dev/shm; "" = bounded by Memory alone
	Resources    map[string]string

	ServiceAccount string
	NodeSelector   map[string]string
	Tolerations    []Toleration
	PriorityClass  string
	Queue          string // Kueue's LocalQueue
	Labels         map[string]string
	Annotations    map[string]string
	User, Group    int64 // of the step's process and of its volumes; 0 = the image's

	Volumes   []Volume
	SecretEnv map[string]string // NAME = "SECRET/KEY" of Secrets in the namespace
	Nodes     int               // pods of one attempt, under torchrun; 0 = 1
	TTL       time.Duration     // a finished Job stays for this long; 0 = a day
}

// Volume is a folder that runner and pods share, under one path.
type Volume struct {
	Claim    string // of a PersistentVolumeClaim; or
	HostPath string // a folder of the node
	Path     string // where runner and pods see it
	SubPath  string
	ReadOnly bool
}

// Toleration of a node's taint.
type Toleration struct {
	Key, Operator, Value, Effect string
}

func (c Config) gpuResource() string {
	if c.GPUResource == "" {
		return "nvidia.com/gpu"
	}
	return c.GPUResource
}

func (c Config) nodes() int { return max(c.Nodes, 1) }

func (c Config) ttl() time.Duration {
	if c.TTL > 0 {
		return c.TTL
	}
	return 24 * time.Hour
}

// ParseConfig reads the attributes of an executor block, as the language
// decodes them; it has checked them already.
func ParseConfig(x pipelines.ExecutorConfig) (Config, error) {
	a := attributes{m: x.Attributes}
	c := Config{
		Kubeconfig: a.text("kubeconfig"), Context: a.text("context"), Namespace: a.text("namespace"),
		Image: a.text("image"), ImagePullPolicy: a.text("image_pull_policy"), ImagePullSecrets: a.texts("image_pull_secrets"),
		Runner: a.text("runner"), Python: a.text("python"),
		CPUs: a.number("cpus"), Memory: a.text("memory"), GPUs: int(a.number("gpus")), GPUResource: a.text("gpu_resource"),
		SharedMemory: a.text("shared_memory"), Resources: a.table("resources"),
		ServiceAccount: a.text("service_account"), NodeSelector: a.table("node_selector"), PriorityClass: a.text("priority_class"),
		Queue: a.text("queue"), Labels: a.table("labels"), Annotations: a.table("annotations"),
		SecretEnv: a.table("secret_env"), Nodes: int(a.number("nodes")),
	}
	user, group, _ := strings.Cut(a.text("user"), ":")
	for _, part := range []struct {
		id   string
		into *int64
	}{{user, &c.User}, {group, &c.Group}} {
		if n, err := strconv.ParseInt(part.id, 10, 64); err == nil {
			*part.into = n
		} else if part.id != "" {
			return c, fmt.Errorf("%s: user: %w", x.Address, err)
		}
	}
	if s := a.text("ttl"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			return c, fmt.Errorf("%s: ttl: %w", x.Address, err)
		}
		c.TTL = d
	}
	for _, v := range a.blocks("volume") {
		c.Volumes = append(c.Volumes, Volume{Claim: v.text("claim"), HostPath: v.text("host_path"), Path: v.text("path"),
			SubPath: v.text("sub_path"), ReadOnly: v.flag("read_only")})
	}
	for _, t := range a.blocks("toleration") {
		c.Tolerations = append(c.Tolerations, Toleration{Key: t.text("key"), Operator: t.text("operator"), Value: t.text("value"), Effect: t.text("effect")})
	}
	return c, a.err(x.Address)
}

// attributes reads decoded values; one of another type is remembered as wrong.
type attributes struct {
	m     map[string]any
	wrong []string
}

func (a *attributes) err(address pipelines.Address) error {
	if len(a.wrong) == 0 {
		return nil
	}
	return pipelines.Errorf(pipelines.CodeInvalid, "%s: %s has a value of an unexpected type", address, a.wrong[0])
}

func take[T any](a *attributes, name string) T {
	v, ok := a.m[name].(T)
	if !ok && a.m[name] != nil {
		a.wrong = append(a.wrong, name)
	}
	return v
}

func (a *attributes) text(name string) string             { return take[string](a, name) }
func (a *attributes) flag(name string) bool               { return take[bool](a, name) }
func (a *attributes) texts(name string) []string          { return take[[]string](a, name) }
func (a *attributes) table(name string) map[string]string { return take[map[string]string](a, name) }

func (a *attributes) number(name string) float64 {
	switch n := a.m[name].(type) {
	case int64:
		return float64(n)
	case int:
		return float64(n)
	}
	return take[float64](a, name)
}

func (a *attributes) blocks(name string) []*attributes {
	var out []*attributes
	for _, m := range take[[]map[string]any](a, name) {
		out = append(out, &attributes{m: m})
	}
	return out
}
