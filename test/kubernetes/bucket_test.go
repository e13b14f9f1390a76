package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trainwright/trainwright/adapters/adaptertest/fake"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/blob/s3"
	"github.com/trainwright/trainwright/runner/executor/executortest"
	"github.com/trainwright/trainwright/runner/executor/kubernetes"
	"github.com/trainwright/trainwright/test/kubernetes/cluster"
)

// gatewayProgram is the S3 gateway of test/s3, built once.
var gatewayProgram = sync.OnceValues(func() (string, error) {
	out := filepath.Join(filepath.Dir(private), "gateway")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", out, "./gateway")
	build.Dir = filepath.Join("..", "s3")
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the S3 gateway does not build: %w\n%s", err, text)
	}
	return out, nil
})

// gateway is a real S3 gateway with a bucket named models.
type gateway struct {
	t       *testing.T
	address string
	folder  string
	cmd     *exec.Cmd
}

func startGateway(t *testing.T) *gateway {
	t.Helper()
	needCluster(t)
	if err := cluster.Mounts(); err != nil {
		t.Skip(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, address: l.Addr().String(), folder: t.TempDir()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	g.start()
	t.Cleanup(g.stop)
	return g
}

func (g *gateway) start() {
	g.t.Helper()
	program, err := gatewayProgram()
	if err != nil {
		g.t.Fatal(err)
	}
	g.cmd = exec.Command(program, g.address, g.folder)
	g.cmd.Stdout, g.cmd.Stderr = os.Stderr, os.Stderr
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	for range 400 {
		if c, err := net.Dial("tcp", g.address); err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	g.t.Fatal("the gateway does not listen")
}

// stop kills the gateway: an outage.
func (g *gateway) stop() {
	if g.cmd != nil {
		_ = g.cmd.Process.Kill()
		_ = g.cmd.Wait()
		g.cmd = nil
	}
}

// read returns an object, "" where there is none.
func (g *gateway) read(key string) string {
	g.t.Helper()
	b, err := bucket(g.address).Open(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	file := filepath.Join(g.t.TempDir(), "object")
	if err := b.Get(g.t.Context(), key, file); err != nil {
		return ""
	}
	text, err := os.ReadFile(file)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

// sentCheckpoint tells that an object says that a first attempt's checkpoint arrived.
func (g *gateway) sentCheckpoint(key string) bool {
	return strings.HasSuffix(key, "/pods/1/out.json") && strings.Contains(g.read(key), "checkpoints/")
}

func (g *gateway) list(prefix string) (keys []string) {
	g.t.Helper()
	b, err := bucket(g.address).Open(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	list, err := b.List(g.t.Context(), prefix)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, o := range list {
		keys = append(keys, o.Key)
	}
	return keys
}

// bucket is the gateway's bucket as an executor uses it.
func bucket(address string) *kubernetes.Bucket {
	return &kubernetes.Bucket{
		Open: func(ctx context.Context) (runner.Blobs, error) {
			return s3.Open(ctx, s3.Config{Bucket: "models", Endpoint: "http://" + address, Region: "us-east-1",
				AccessKeyID: "access", SecretAccessKey: "secret", Getenv: func(string) string { return "" }})
		},
		Args:    []string{fmt.Sprintf("--bucket={\"bucket\":\"models\",\"endpoint\":\"http://%s\",\"region\":\"us-east-1\"}", address)},
		Secrets: map[string]pipelines.Secret{"RUNNER_BUCKET_ACCESS_KEY_ID": pipelines.NewSecret("access"), "RUNNER_BUCKET_SECRET_ACCESS_KEY": pipelines.NewSecret("secret")},
	}
}

// TestExecutorThroughBucket is the executors' common suite for pods that share
// no volume with the runner.
func TestExecutorThroughBucket(t *testing.T) {
	g := startGateway(t)
	t.Setenv("RUNNER_TOKEN", "not for steps")
	t.Setenv(envBucket, g.address)
	t.Setenv("KUBECONFIG", lab.Kubeconfig)
	c := config(lab.Kubeconfig)
	c.Volumes = nil
	executortest.Run(t, executortest.Harness{
		New: func(t *testing.T) runner.Executor {
			x, err := kubernetes.New(c, bucket(g.address))
			if err != nil {
				t.Fatal(err)
			}
			return x
		},
		Program: []string{c.Runner}, Follower: []string{c.Runner, "follow"},
		Root: func(t *testing.T) string { return folderIn(t, private) }, Slow: 60 * time.Second,
	})
}

// blocks are an executor without a volume, and the bucket in its stead.
func (g *gateway) blocks(keys, more string) string {
	return fmt.Sprintf(`
executor "kubernetes" "lab" {
  kubeconfig = %q
  image      = "registry.invalid/runner:test"
  runner     = %q
%s
}

artifacts "s3" {
  bucket   = "models"
  prefix   = "team"
  endpoint = "http://%s"
%s
}
`, lab.Kubeconfig, config("").Runner, more, g.address, keys)
}

// TestBucketInsteadOfVolume trains in pods that see nothing of the runner's
// folder. A pod is killed once a checkpoint has reached the bucket, and the
// bucket is away for a while: training waits for neither, the next pod goes on
// from the checkpoint in the bucket, and all that counts comes home.
func TestBucketInsteadOfVolume(t *testing.T) {
	g := startGateway(t)
	small := strings.Replace(matrix, `[0.1, 0.03, 0.01, 0.003]`, "[0.1]", 1)
	calm := newSite(t, fmt.Sprintf(small, "local", fake.EnvDelay, "0s")+`executor "local" "lab" {}`)
	calm.images(12, 3)
	calm.apply()
	want := calm.rows()

	s := newSiteIn(t, folderIn(t, private), fmt.Sprintf(small, "kubernetes", fake.EnvDelay, "600ms")+
		g.blocks(`  access_key_id     = secret("BUCKET_ID")
  secret_access_key = secret("BUCKET_KEY")`, ""))
	s.env = []string{"BUCKET_ID=access", "BUCKET_KEY=secret"}
	s.images(12, 3)
	cmd, out := s.runner("apply", "--auto-approve")
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	until := func(what string, f func() bool) {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); !f(); time.Sleep(50 * time.Millisecond) {
			select {
			case err := <-ended:
				t.Fatalf("apply ended (%v) before %s\n%s", err, what, out)
			default:
			}
			if time.Now().After(end) {
				t.Fatalf("never %s\n%s", what, out)
			}
		}
	}
	sent := func() (n int) { // attempts that have sent a checkpoint
		for _, key := range g.list("team/runs/") {
			if g.sentCheckpoint(key) {
				n++
			}
		}
		return n
	}
	until("a checkpoint in the bucket of both runs", func() bool { return sent() == 2 })
	killed := false
	for _, n := range nodes {
		for _, pod := range n.Running() {
			namespace, name, _ := strings.Cut(pod, "/")
			killed = killed || n.Kill(namespace, name, false)
		}
	}
	if !killed {
		t.Fatal("nothing to kill")
	}
	g.stop()
	time.Sleep(3 * time.Second)
	g.start()
	if err := <-ended; err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}

	runs, attempts := s.runs()
	again := 0
	for address, r := range runs {
		again += len(attempts[r.ID]) - 1
		if r.Status != pipelines.StatusCompleted || r.Result == nil || r.Result.Best == nil {
			t.Errorf("%s: %s (%s)", address, r.Status, r.Error)
			continue
		}
		if _, err := os.Stat(r.Result.Best.Path); err != nil {
			t.Errorf("%s: the best checkpoint is not home: %v", address, err)
		}
		first, err := os.ReadFile(filepath.Join(r.Dir, "attempts", fmt.Sprint(len(attempts[r.ID])), "events.ndjson"))
		if err != nil || len(attempts[r.ID]) > 1 && !strings.Contains(string(first), `"resumed"`) {
			t.Errorf("%s: the last attempt began anew (%v)", address, err)
		}
	}
	if again < 1 {
		t.Error("no attempt was made again")
	}
	got := s.rows()
	if len(got) != len(want) || len(got) < 20 {
		t.Errorf("%d visible rows, an undisturbed training has %d", len(got), len(want))
	}
	for key, v := range want {
		if got[key] != v {
			t.Errorf("%s is %v, want %v", key, got[key], v)
		}
	}
	for _, key := range g.list("team/runs/") {
		if strings.Contains(key, "/pods/") {
			t.Errorf("%s is left in the bucket", key)
		}
	}
	if out := s.apply(); !strings.Contains(out, "No changes") {
		t.Errorf("the second apply:\n%s", out)
	}
	t.Logf("%d rows of %d runs, %d attempts made again", len(got), len(runs), again)
}

// TestBucketAnotherMachine: the runner dies with all that its machine had,
// while its pod works on. Another machine, which has the sources and the data,
// stops that pod and goes on from the checkpoint that it left in the bucket.
func TestBucketAnotherMachine(t *testing.T) {
	g := startGateway(t)
	small := strings.Replace(strings.Replace(matrix, `[0.1, 0.03, 0.01, 0.003]`, "[0.1]", 1), `["sgd", "adamw"]`, `["sgd"]`, 1)
	text := fmt.Sprintf(small, "kubernetes", fake.EnvDelay, "1s") + g.blocks(`  access_key_id     = secret("BUCKET_ID")
  secret_access_key = secret("BUCKET_KEY")`, "")
	a, b := newSiteIn(t, folderIn(t, private), text), newSiteIn(t, folderIn(t, private), text)
	for _, s := range []*site{a, b} {
		s.env = []string{"BUCKET_ID=access", "BUCKET_KEY=secret"}
		s.images(12, 3)
	}
	cmd, out := a.runner("apply", "--auto-approve")
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no checkpoint in the bucket\n%s", out)
		}
		if slices.ContainsFunc(g.list("team/runs/"), func(key string) bool { return g.sentCheckpoint(key) }) {
			break
		}
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait()
	if err := os.RemoveAll(a.dir); err != nil {
		t.Fatal(err)
	}
	said := b.apply()
	runs, attempts := b.runs()
	for address, r := range runs {
		last, err := os.ReadFile(filepath.Join(r.Dir, "attempts", "2", "events.ndjson"))
		if r.Status != pipelines.StatusCompleted || len(attempts[r.ID]) != 2 || err != nil || !strings.Contains(string(last), `"resumed"`) {
			t.Errorf("%s: %s, %d attempts, %v\n%s", address, r.Status, len(attempts[r.ID]), err, said)
		}
	}
	if !strings.Contains(said, "is asked to stop") {
		t.Errorf("the other machine's pod was not stopped:\n%s", said)
	}
}

const bucketDemo = demo + `
export "onnx" {
  checkpoint = train.a.best
  executor   = executor.kubernetes.lab
}
`

// TestBucketNative trains a real network in a pod that shares no volume with
// the runner, evaluates and exports it in others. The keys of the bucket are a
// Secret of the cluster.
func TestBucketNative(t *testing.T) {
	g := startGateway(t)
	if len(imageEnv()) == 0 {
		t.Skip("no ONNX Runtime: make ort obtains it")
	}
	_, err := lab.Client.CoreV1().Secrets("default").Create(context.Background(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "bucket"},
		Data: map[string][]byte{"id": []byte("access"), "key": []byte("secret")}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	s := newSiteIn(t, folderIn(t, private), bucketDemo+g.blocks("",
		`  secret_env = { R2_ACCESS_KEY_ID = "bucket/id", R2_SECRET_ACCESS_KEY = "bucket/key" }`))
	s.env = []string{"R2_ACCESS_KEY_ID=access", "R2_SECRET_ACCESS_KEY=secret"}
	s.images(24, 8)
	out := s.apply()
	runs, _ := s.runs()
	for _, address := range []pipelines.Address{"train.a", "evaluate.again", "export.onnx"} {
		if r := runs[address]; r.Status != pipelines.StatusCompleted || r.Result == nil {
			t.Errorf("%s: %+v", address, r)
		}
	}
	for _, rel := range []string{"artifacts/model.onnx", "report.html"} {
		if _, err := os.Stat(filepath.Join(runs["train.a"].Dir, rel)); err != nil {
			t.Errorf("not home: %v\n%s", err, out)
		}
	}
	if sets := g.list("team/data/"); len(sets) == 0 {
		t.Error("the dataset did not travel through the bucket")
	}
}

// Without keys the attempt ends, and says what pods need.
func TestBucketRefused(t *testing.T) {
	g := startGateway(t)
	s := newSiteIn(t, folderIn(t, private), strings.Replace(fmt.Sprintf(matrix, "kubernetes", fake.EnvDelay, "0s"), `[0.1, 0.03, 0.01, 0.003]`, "[0.1]", 1)+
		g.blocks("", `  secret_env = { R2_ACCESS_KEY_ID = "wrong/id", R2_SECRET_ACCESS_KEY = "wrong/key" }`))
	s.env = []string{"R2_ACCESS_KEY_ID=access", "R2_SECRET_ACCESS_KEY=secret"}
	_, err := lab.Client.CoreV1().Secrets("default").Create(context.Background(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "wrong"},
		Data: map[string][]byte{"id": []byte("access"), "key": []byte("nothing")}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	s.images(4, 2)
	cmd, out := s.runner("apply", "--auto-approve")
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 4 || !strings.Contains(out.String(), "could not be fetched") || !strings.Contains(out.String(), "credentials") {
		t.Errorf("%v\n%s", err, out)
	}
}
