package kubernetes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/executortest"
	"github.com/trainwright/trainwright/runner/executor/kubernetes"
)

func TestExecutor(t *testing.T) {
	needCluster(t)
	t.Setenv("RUNNER_TOKEN", "not for steps")
	t.Setenv(envWork, work)
	t.Setenv("KUBECONFIG", lab.Kubeconfig)
	exe := config("").Runner
	executortest.Run(t, executortest.Harness{
		New:     func(t *testing.T) runner.Executor { return newExecutor(t, nil) },
		Program: []string{exe}, Follower: []string{exe, "follow"},
		Root: folder, Slow: 40 * time.Second,
	})
}

// watched is an attempt that runs in the background.
type watched struct {
	t    *testing.T
	job  runner.Job
	done chan struct{}

	mu     sync.Mutex
	texts  []string
	seqs   []int64
	told   []string
	result *pipelines.StepResult
	exit   runner.Exit
	err    error
}

func newJob(t *testing.T, script ...string) runner.Job {
	t.Helper()
	run := folder(t)
	dir := filepath.Join(run, "attempts", "1")
	exe := config("").Runner
	return runner.Job{
		Task: pipelines.Task{Version: 1, Pipeline: "p", Address: "train.a", RunID: runner.NewID(time.Now()), Attempt: 1,
			Kind: pipelines.KindTrain, RunDir: run, AttemptDir: dir},
		Command: adapters.Command{Argv: append([]string{exe, "executortest", filepath.Join(dir, "task.json")}, script...)},
		Grace:   5 * time.Second,
	}
}

func watch(t *testing.T, x runner.Executor, job runner.Job) *watched {
	t.Helper()
	w := &watched{t: t, job: job, done: make(chan struct{})}
	job.Tell = func(text string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, text)
	}
	go func() {
		defer close(w.done)
		w.exit, w.err = x.Run(context.Background(), job, func(_ context.Context, events []pipelines.Event) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, e := range events {
				w.seqs = append(w.seqs, e.Seq)
				switch {
				case e.Message != nil:
					w.texts = append(w.texts, e.Message.Text)
				case e.Result != nil:
					w.result = e.Result
				}
			}
			return nil
		})
	}()
	return w
}

func (w *watched) wait() runner.Exit {
	w.t.Helper()
	select {
	case <-w.done:
	case <-time.After(3 * time.Minute):
		w.t.Fatalf("no end; told %q", w.saw())
	}
	if w.err != nil {
		w.t.Fatal(w.err)
	}
	for i, s := range w.seqs {
		if s != int64(i+1) {
			w.t.Fatalf("event %d has seq %d", i+1, s)
		}
	}
	return w.exit
}

// saw is what was told to people and said by the step so far.
func (w *watched) saw() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(append(slices.Clone(w.told), w.texts...), "\n")
}

func (w *watched) until(text string) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(w.saw(), text) {
			return
		}
	}
	w.t.Fatalf("never told of %q; told:\n%s", text, w.saw())
}

// pods lists the pods of an attempt.
func (w *watched) pods() []corev1.Pod {
	w.t.Helper()
	list, err := lab.Client.CoreV1().Pods("default").List(context.Background(), metav1.ListOptions{LabelSelector: "trainwright.dev/run=" + w.job.Task.RunID})
	if err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

func (w *watched) kill(rank string, oom bool) {
	w.t.Helper()
	for _, p := range w.pods() {
		if rank != "" && p.Labels[batchv1.JobCompletionIndexAnnotation] != rank {
			continue
		}
		for _, n := range nodes {
			if n.Kill(p.Namespace, p.Name, oom) {
				return
			}
		}
	}
	w.t.Fatal("nothing to kill")
}

func TestKilledPod(t *testing.T) {
	t.Parallel()
	w := watch(t, newExecutor(t, nil), newJob(t, "many:20", "say:up", "sleep:1m"))
	w.until("up")
	w.kill("", false)
	if exit := w.wait(); exit.Cause != pipelines.CauseInfrastructure || exit.Code != 137 {
		t.Errorf("exit %+v", exit)
	}
}

func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	w := watch(t, newExecutor(t, func(c *kubernetes.Config) { c.Memory = "1Gi" }), newJob(t, "say:up", "sleep:1m"))
	w.until("up")
	w.kill("", true)
	if exit := w.wait(); exit.Cause != pipelines.CauseOOM || !strings.Contains(exit.Message, "1Gi") {
		t.Errorf("exit %+v", exit)
	}
}

func TestEviction(t *testing.T) {
	t.Parallel()
	w := watch(t, newExecutor(t, nil), newJob(t, "say:up", "sleep:1m"))
	w.until("up")
	p := w.pods()[0]
	if err := lab.Client.PolicyV1().Evictions("default").Evict(context.Background(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: "default"}}); err != nil {
		t.Fatal(err)
	}
	exit := w.wait()
	if exit.Cause != pipelines.CausePreempted || !strings.Contains(exit.Message, "EvictionByEvictionAPI") {
		t.Errorf("exit %+v", exit)
	}
	if w.result == nil || w.result.State != pipelines.StatusCancelled || !strings.Contains(w.saw(), "stopping") {
		t.Errorf("the step got no time to stop: result %+v, %s", w.result, w.saw())
	}
}

func TestDeletedFromOutside(t *testing.T) {
	t.Parallel()
	w := watch(t, newExecutor(t, nil), newJob(t, "say:up", "sleep:1m"))
	w.until("up")
	if err := lab.Client.BatchV1().Jobs("default").Delete(context.Background(), w.pods()[0].Labels[batchv1.JobNameLabel],
		metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}); err != nil {
		t.Fatal(err)
	}
	exit := w.wait()
	if w.result == nil || w.result.State != pipelines.StatusCancelled || exit.Cause != "" {
		t.Errorf("exit %+v, result %+v", exit, w.result)
	}
}

func TestMissingImageIsToldAtOnce(t *testing.T) {
	t.Parallel()
	x, began := newExecutor(t, func(c *kubernetes.Config) { c.Image = "missing.invalid/x:1" }), time.Now()
	w := watch(t, x, newJob(t, "done"))
	w.until("cannot pull the image missing.invalid/x:1")
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("told after %s", d)
	}
	if err := x.Cancel(context.Background(), w.job); err != nil {
		t.Fatal(err)
	}
	if exit := w.wait(); exit.Cause != "" || exit.Code == 0 {
		t.Errorf("exit %+v", exit)
	}
}

func TestNoRoomIsToldAtOnce(t *testing.T) {
	t.Parallel()
	x := newExecutor(t, func(c *kubernetes.Config) { c.GPUs = 3 })
	w := watch(t, x, newJob(t, "done"))
	w.until("Insufficient nvidia.com/gpu")
	if live, err := x.Probe(context.Background(), pipelines.Attempt{RunID: w.job.Task.RunID, Number: 1, Dir: w.job.Task.AttemptDir}); live != runner.Alive || err != nil {
		t.Errorf("an attempt that waits is %s, %v", live, err)
	}
	if err := x.Cancel(context.Background(), w.job); err != nil {
		t.Fatal(err)
	}
	if exit := w.wait(); exit.Cause != "" || exit.Code == 0 {
		t.Errorf("exit %+v", exit)
	}
}

func TestQuotaIsNamed(t *testing.T) {
	t.Parallel()
	needCluster(t)
	ctx := context.Background()
	if err := lab.Namespace(ctx, "small"); err != nil {
		t.Fatal(err)
	}
	if err := lab.Claim(ctx, "small", "work", work); err != nil {
		t.Fatal(err)
	}
	_, err := lab.Client.CoreV1().ResourceQuotas("small").Create(ctx, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "team-a"},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"requests.nvidia.com/gpu": resource.MustParse("1")}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // admission reads quotas from a cache
	x := newExecutor(t, func(c *kubernetes.Config) { c.Namespace, c.GPUs = "small", 2 })
	w := watch(t, x, newJob(t, "done"))
	w.until("exceeded quota: team-a")
	if err := x.Cancel(ctx, w.job); err != nil {
		t.Fatal(err)
	}
	w.wait()
}

func TestQueuedByKueue(t *testing.T) {
	t.Parallel()
	x := newExecutor(t, func(c *kubernetes.Config) { c.Queue = "team-a" })
	w := watch(t, x, newJob(t, "say:up", "done"))
	w.wait() // without Kueue in the cluster nothing holds it back
	jobs, err := lab.Client.BatchV1().Jobs("default").List(context.Background(), metav1.ListOptions{LabelSelector: "kueue.x-k8s.io/queue-name=team-a,trainwright.dev/run=" + w.job.Task.RunID})
	if err != nil || len(jobs.Items) != 1 {
		t.Fatalf("%d Jobs with the queue's label, %v", len(jobs.Items), err)
	}
}

func TestSecretsBelongToTheJob(t *testing.T) {
	t.Parallel()
	needCluster(t)
	ctx := context.Background()
	_, err := lab.Client.CoreV1().Secrets("default").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "hub"}, Data: map[string][]byte{"token": []byte("by-r3ference")}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	job := newJob(t, "env:OWN", "env:HUB", "done")
	job.Secrets = map[string]pipelines.Secret{"OWN": pipelines.NewSecret("0wn-s3cret")}
	w := watch(t, newExecutor(t, func(c *kubernetes.Config) { c.SecretEnv = map[string]string{"HUB": "hub/token"} }), job)
	w.wait()
	if got := w.saw(); got != "OWN=(sensitive)\nHUB=(sensitive)" {
		t.Errorf("the step said %q", got)
	}
	jobs, err := lab.Client.BatchV1().Jobs("default").List(ctx, metav1.ListOptions{LabelSelector: "trainwright.dev/run=" + job.Task.RunID})
	if err != nil || len(jobs.Items) != 1 {
		t.Fatal(len(jobs.Items), err)
	}
	j := jobs.Items[0]
	if b, err := j.Marshal(); err != nil || strings.Contains(string(b), "0wn-s3cret") {
		t.Errorf("the Job holds the secret (%v)", err)
	}
	s, err := lab.Client.CoreV1().Secrets("default").Get(ctx, j.Name, metav1.GetOptions{})
	if err != nil || len(s.OwnerReferences) != 1 || s.OwnerReferences[0].UID != j.UID {
		t.Fatalf("Secret %+v, %v", s, err)
	}
	if err := lab.Client.BatchV1().Jobs("default").Delete(ctx, j.Name, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if _, err := lab.Client.CoreV1().Secrets("default").Get(ctx, j.Name, metav1.GetOptions{}); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the Secret outlives its Job")
		}
	}
}

func TestEverySettingReachesThePod(t *testing.T) {
	t.Parallel()
	x := newExecutor(t, func(c *kubernetes.Config) {
		c.CPUs, c.Memory, c.GPUs, c.SharedMemory = 1.5, "2Gi", 1, "512Mi"
		c.NodeSelector = map[string]string{"kubernetes.io/os": "linux"}
		c.Tolerations = []kubernetes.Toleration{{Key: "gpu", Operator: "Exists", Effect: "NoSchedule"}}
		c.ImagePullSecrets, c.ImagePullPolicy = []string{"registry"}, "IfNotPresent"
		c.Labels, c.Annotations = map[string]string{"team": "a"}, map[string]string{"note": "b c"}
		c.User, c.Group, c.TTL = 1000, 2000, 90*time.Second
	})
	w := watch(t, x, newJob(t, "done"))
	w.wait()
	p := w.pods()[0]
	c := p.Spec.Containers[0]
	gpus := c.Resources.Limits["nvidia.com/gpu"]
	got := fmt.Sprintln(c.Resources.Requests.Cpu(), c.Resources.Limits.Memory(), gpus.String(), p.Spec.NodeSelector, p.Spec.ImagePullSecrets,
		c.ImagePullPolicy, p.Labels["team"], p.Annotations["note"], *p.Spec.SecurityContext.RunAsUser, *p.Spec.SecurityContext.FSGroup, p.Spec.RestartPolicy, *p.Spec.AutomountServiceAccountToken)
	if want := "1500m 2Gi 1 map[kubernetes.io/os:linux] [{registry}] IfNotPresent a b c 1000 2000 Never false\n"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !slices.ContainsFunc(p.Spec.Tolerations, func(t corev1.Toleration) bool { return t.Key == "gpu" && t.Effect == "NoSchedule" }) {
		t.Errorf("tolerations %+v", p.Spec.Tolerations)
	}
	j, err := lab.Client.BatchV1().Jobs("default").Get(context.Background(), p.Labels[batchv1.JobNameLabel], metav1.GetOptions{})
	if err != nil || *j.Spec.BackoffLimit != 0 || *j.Spec.TTLSecondsAfterFinished != 90 || *j.Spec.PodReplacementPolicy != batchv1.Failed ||
		j.Spec.PodFailurePolicy.Rules[0].Action != batchv1.PodFailurePolicyActionFailJob {
		t.Errorf("Job %+v, %v", j, err)
	}
}

func TestRefusedByTheServer(t *testing.T) {
	t.Parallel()
	w := watch(t, newExecutor(t, func(c *kubernetes.Config) { c.Labels = map[string]string{"bad key!": "x"} }), newJob(t, "done"))
	if exit := w.wait(); exit.Cause != pipelines.CauseConfig || !strings.Contains(exit.Message, "bad key!") {
		t.Errorf("exit %+v", exit)
	}
	job := newJob(t, "done")
	job.Task.AttemptDir = filepath.Join(t.TempDir(), "attempts", "1")
	if exit := watch(t, newExecutor(t, nil), job).wait(); exit.Cause != pipelines.CauseConfig || !strings.Contains(exit.Message, "volume") {
		t.Errorf("outside every volume: exit %+v", exit)
	}
	if _, err := os.Stat(filepath.Join(job.Task.AttemptDir, "kubernetes.json")); err == nil {
		t.Error("a record of a Job that was never made")
	}
}

// python makes a job the step of a Python adapter.
func python(job runner.Job) runner.Job {
	job.Command.Argv = append([]string{"/some/venv/bin/python3.11", "-m", "platform_sdk.step"}, job.Command.Argv[2:]...)
	return job
}

func TestNodes(t *testing.T) {
	t.Parallel()
	x := newExecutor(t, func(c *kubernetes.Config) { c.Nodes = 2 })
	w := watch(t, x, python(newJob(t, "env:TORCHRUN", "env:MASTER_ADDR", "many:50", "sleep:1s", "done")))
	w.until("49")
	pods := w.pods()
	if len(pods) != 2 {
		t.Fatalf("%d pods", len(pods))
	}
	name := pods[0].Labels[batchv1.JobNameLabel]
	svc, err := lab.Client.CoreV1().Services("default").Get(context.Background(), name, metav1.GetOptions{})
	if err != nil || svc.Spec.ClusterIP != "None" || svc.Spec.Selector[batchv1.JobNameLabel] != name || pods[0].Spec.Subdomain != name {
		t.Errorf("Service %+v, %v; subdomain %q", svc, err, pods[0].Spec.Subdomain)
	}
	exit := w.wait()
	if exit.Code != 0 || w.result == nil || len(w.texts) != 52 {
		t.Errorf("exit %+v, %d messages", exit, len(w.texts))
	}
	want := "TORCHRUN=--nnodes=2 --node-rank=0 --nproc-per-node=1 --master-addr=" + name + "-0." + name + " --master-port=29500"
	if w.texts[0] != want || w.texts[1] != "MASTER_ADDR="+name+"-0."+name {
		t.Errorf("rank 0 ran with %q, want %q", w.texts[:2], want)
	}
}

func TestALostPodEndsAllNodes(t *testing.T) {
	t.Parallel()
	x := newExecutor(t, func(c *kubernetes.Config) { c.Nodes = 2 })
	w := watch(t, x, python(newJob(t, "say:up", "sleep:1m")))
	w.until("up")
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if pods := w.pods(); len(pods) == 2 && pods[0].Status.Phase == corev1.PodRunning && pods[1].Status.Phase == corev1.PodRunning {
			break
		}
	}
	w.kill("1", false)
	exit := w.wait()
	if exit.Cause != pipelines.CauseInfrastructure || !strings.Contains(exit.Message, "ended first") {
		t.Errorf("exit %+v", exit)
	}
	if !strings.Contains(w.saw(), "stopping") {
		t.Errorf("rank 0 got no time to write a checkpoint: %s", w.saw())
	}
}

func TestOnlyPythonRunsOnSeveralNodes(t *testing.T) {
	t.Parallel()
	w := watch(t, newExecutor(t, func(c *kubernetes.Config) { c.Nodes = 2 }), newJob(t, "done"))
	if exit := w.wait(); exit.Cause != pipelines.CauseConfig || !strings.Contains(exit.Message, "torchrun") {
		t.Errorf("exit %+v", exit)
	}
}

// TestSuspended plays Kueue, which takes a started Job's room away.
func TestSuspended(t *testing.T) {
	t.Parallel()
	w := watch(t, newExecutor(t, func(c *kubernetes.Config) { c.Queue = "team-b" }), newJob(t, "say:up", "sleep:1m"))
	w.until("up")
	_, err := lab.Client.BatchV1().Jobs("default").Patch(context.Background(), w.pods()[0].Labels[batchv1.JobNameLabel],
		types.MergePatchType, []byte(`{"spec":{"suspend":true}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	exit := w.wait()
	if exit.Cause != pipelines.CausePreempted || w.result == nil || w.result.State != pipelines.StatusCancelled {
		t.Errorf("exit %+v, result %+v", exit, w.result)
	}
}
