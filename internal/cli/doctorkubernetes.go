package cli

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner/executor/kubernetes"
)

// kubernetesDocs is where a person reads on.
const kubernetesDocs = "docs/kubernetes.md lists what the executor needs; deploy/kubernetes grants it"

// diagnoseKubernetes looks at the clusters that the pipeline of this folder
// names, or else at the current context of the kubeconfig, if there is one.
func (a *app) diagnoseKubernetes(ctx context.Context) []finding {
	var out []finding
	for address, c := range a.kubernetesBlocks(ctx) {
		cfg, err := kubernetes.ParseConfig(c)
		if err != nil {
			out = append(out, finding{Name: "kubernetes", State: "warning", Text: err.Error()})
			continue
		}
		out = append(out, diagnoseCluster(ctx, cfg, string(address)+": "))
	}
	if len(out) > 0 {
		return out
	}
	if !haveKubeconfig() {
		return []finding{{Name: "kubernetes", State: "ok", Text: "no kubeconfig: steps run on this machine"}}
	}
	return []finding{diagnoseCluster(ctx, kubernetes.Config{}, "")}
}

func diagnoseCluster(ctx context.Context, cfg kubernetes.Config, who string) finding {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	x := &kubernetes.Executor{Config: cfg}
	access, err := x.Check(ctx)
	switch {
	case err != nil:
		return finding{Name: "kubernetes", State: "warning", Text: who + err.Error(), Help: kubernetesDocs}
	case len(access.Missing) > 0:
		return finding{Name: "kubernetes", State: "warning", Text: who + access.Text(), Help: kubernetesDocs}
	}
	return finding{Name: "kubernetes", State: "ok", Text: who + access.Text()}
}

// kubernetesBlocks are the executor blocks of this folder's pipeline. One
// that does not load is validate's to tell.
func (a *app) kubernetesBlocks(ctx context.Context) map[pipelines.Address]pipelines.ExecutorConfig {
	if files, err := filepath.Glob(filepath.Join(a.path("."), "*.hcl")); err != nil || len(files) == 0 {
		return nil
	}
	opts := a.options(pipelineFlags{})
	opts.Validate = true
	p, _, err := a.load(ctx, a.path("."), opts)
	if err != nil {
		return nil
	}
	found := map[pipelines.Address]pipelines.ExecutorConfig{}
	for address, c := range p.Executors {
		if c.Type == "kubernetes" {
			found[address] = c
		}
	}
	return found
}

func haveKubeconfig() bool {
	if os.Getenv("KUBECONFIG") != "" || os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		return true
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(home, ".kube", "config"))
	return err == nil
}
