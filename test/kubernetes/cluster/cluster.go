package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"
)

// Cluster is a control plane at work.
type Cluster struct {
	Dir        string
	Kubeconfig string // of an administrator
	Client     kubernetes.Interface
	Config     *rest.Config

	binary, url string
	etcdURL     string
	port        int
	ca          *authority

	mu    sync.Mutex
	procs map[string]*exec.Cmd
}

// controllers are those that Jobs, their pods and their volumes need.
const controllers = "job-controller,namespace-controller,serviceaccount-controller,serviceaccount-token-controller," +
	"root-ca-certificate-publisher-controller,node-lifecycle-controller,taint-eviction-controller,garbage-collector-controller," +
	"pod-garbage-collector-controller,ttl-after-finished-controller,resourcequota-controller,persistentvolume-binder-controller"

// Start starts etcd, API server, controller manager and scheduler from binary
// in dir, and returns once the namespace "default" takes pods.
func Start(ctx context.Context, binary, dir string) (*Cluster, error) {
	c := &Cluster{Dir: dir, binary: binary, procs: map[string]*exec.Cmd{}}
	var err error
	if c.ca, err = newAuthority(dir); err != nil {
		return nil, err
	}
	for _, cert := range []struct{ name, user, group string }{
		{"apiserver", "kube-apiserver", ""}, {"admin", "admin", "system:masters"}, {"kubelet-client", "kube-apiserver-kubelet-client", "system:masters"},
		{"controllers", "system:kube-controller-manager", ""}, {"scheduler", "system:kube-scheduler", ""}, {"service-account", "service-account", ""},
		{"kubelet", "kubelet", ""},
	} {
		if err := c.ca.issue(cert.name, cert.user, cert.group); err != nil {
			return nil, err
		}
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	c.port, c.url, c.etcdURL = ports[0], fmt.Sprintf("https://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	for _, name := range []string{"admin", "controllers", "scheduler"} {
		if err := c.writeKubeconfig(name, &api.AuthInfo{ClientCertificate: c.path(name + ".crt"), ClientKey: c.path(name + ".key")}); err != nil {
			return nil, err
		}
	}
	c.Kubeconfig = c.path("admin.kubeconfig")
	if c.Config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig); err != nil {
		return nil, err
	}
	c.Config.QPS, c.Config.Burst = 200, 400
	if c.Client, err = kubernetes.NewForConfig(c.Config); err != nil {
		return nil, err
	}
	if err := c.run("etcd", "--data-dir="+c.path("etcd"), "--client-url="+c.etcdURL, fmt.Sprintf("--peer-url=http://127.0.0.1:%d", ports[2])); err != nil {
		return nil, err
	}
	if err := c.StartAPIServer(ctx); err != nil {
		return nil, err
	}
	if err := c.run("kube-controller-manager", "--kubeconfig="+c.path("controllers.kubeconfig"), "--leader-elect=false", "--secure-port=0",
		"--use-service-account-credentials=true", "--service-account-private-key-file="+c.path("service-account.key"), "--root-ca-file="+c.path("ca.crt"),
		"--concurrent-job-syncs=5", "--controllers="+controllers, "--node-monitor-grace-period=20s", "--node-monitor-period=1s"); err != nil {
		return nil, err
	}
	if err := c.run("kube-scheduler", "--kubeconfig="+c.path("scheduler.kubeconfig"), "--leader-elect=false", "--secure-port=0"); err != nil {
		return nil, err
	}
	return c, await(ctx, "the default service account", time.Minute, func(ctx context.Context) (bool, error) {
		_, err := c.Client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err == nil, err
	})
}

// StartAPIServer starts the API server and waits until it is ready.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	err := c.run("kube-apiserver", "--etcd-servers="+c.etcdURL, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", c.port),
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24", "--allow-privileged=true",
		"--tls-cert-file="+c.path("apiserver.crt"), "--tls-private-key-file="+c.path("apiserver.key"), "--client-ca-file="+c.path("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+c.path("service-account.key"),
		"--service-account-signing-key-file="+c.path("service-account.key"), "--authorization-mode=RBAC",
		"--kubelet-client-certificate="+c.path("kubelet-client.crt"), "--kubelet-client-key="+c.path("kubelet-client.key"),
		"--kubelet-certificate-authority="+c.path("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--enable-priority-and-fairness=false", "--profiling=false", "--default-unreachable-toleration-seconds=1", "--default-not-ready-toleration-seconds=1")
	if err != nil {
		return err
	}
	return await(ctx, "the API server", time.Minute, func(ctx context.Context) (bool, error) {
		b, err := c.Client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return string(b) == "ok", err
	})
}

// KillAPIServer ends the API server with SIGKILL, and every connection to it.
func (c *Cluster) KillAPIServer() { c.stop("kube-apiserver", syscall.SIGKILL) }

// Stop ends everything.
func (c *Cluster) Stop() {
	for _, name := range []string{"kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"} {
		c.stop(name, syscall.SIGKILL)
	}
}

// LogTail is the end of what the parts of the control plane wrote.
func (c *Cluster) LogTail() string {
	var out strings.Builder
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		b, err := os.ReadFile(c.path(name + ".log"))
		if err == nil {
			fmt.Fprintf(&out, "== %s\n%s\n", name, b[max(0, len(b)-3000):])
		}
	}
	return out.String()
}

func (c *Cluster) path(name string) string { return filepath.Join(c.Dir, name) }

func (c *Cluster) run(name string, args ...string) error {
	log, err := os.OpenFile(c.path(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(c.binary, append([]string{name}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, c.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.procs[name] = cmd
	return nil
}

func (c *Cluster) stop(name string, signal syscall.Signal) {
	c.mu.Lock()
	cmd := c.procs[name]
	delete(c.procs, name)
	c.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Signal(signal) // it may have ended
		_ = cmd.Wait()
	}
}

func (c *Cluster) writeKubeconfig(name string, user *api.AuthInfo) error {
	cfg := api.NewConfig()
	cfg.Clusters["test"] = &api.Cluster{Server: c.url, CertificateAuthority: c.path("ca.crt")}
	cfg.AuthInfos[name] = user
	cfg.Contexts["test"] = &api.Context{Cluster: "test", AuthInfo: name, Namespace: "default"}
	cfg.CurrentContext = "test"
	return clientcmd.WriteToFile(*cfg, c.path(name+".kubeconfig"))
}

// TokenKubeconfig writes a kubeconfig of a service account and returns its path.
func (c *Cluster) TokenKubeconfig(name, namespace, token string) (string, error) {
	cfg := api.NewConfig()
	cfg.Clusters["test"] = &api.Cluster{Server: c.url, CertificateAuthority: c.path("ca.crt")}
	cfg.AuthInfos[name] = &api.AuthInfo{Token: token}
	cfg.Contexts["test"] = &api.Context{Cluster: "test", AuthInfo: name, Namespace: namespace}
	cfg.CurrentContext = "test"
	path := c.path(name + ".kubeconfig")
	return path, clientcmd.WriteToFile(*cfg, path)
}

// Namespace makes a namespace that takes pods.
func (c *Cluster) Namespace(ctx context.Context, name string) error {
	_, err := c.Client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return await(ctx, "service account of "+name, time.Minute, func(ctx context.Context) (bool, error) {
		_, err := c.Client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, err
	})
}

// Claim makes a claim that is bound to a folder of this machine.
func (c *Cluster) Claim(ctx context.Context, namespace, name, folder string) error {
	size := corev1.ResourceList{corev1.ResourceStorage: quantity("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
	_, err := c.Client.CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: namespace + "-" + name},
		Spec: corev1.PersistentVolumeSpec{Capacity: size, AccessModes: modes, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:               &corev1.ObjectReference{Namespace: namespace, Name: name},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: folder}}}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = c.Client.CoreV1().PersistentVolumeClaims(namespace).Create(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{AccessModes: modes, StorageClassName: new(""), VolumeName: namespace + "-" + name,
			Resources: corev1.VolumeResourceRequirements{Requests: size}}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return await(ctx, "claim "+name, time.Minute, func(ctx context.Context) (bool, error) {
		claim, err := c.Client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})
		return err == nil && claim.Status.Phase == corev1.ClaimBound, err
	})
}

func await(ctx context.Context, what string, atMost time.Duration, ready func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	var last error
	for {
		ok, err := ready(ctx)
		if ok {
			return nil
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready within %s: %w", what, atMost, errors.Join(last, ctx.Err()))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at once, so that none is given twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
