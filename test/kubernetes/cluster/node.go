package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// NodeOptions say what a node has.
type NodeOptions struct {
	CPUs   string // "" = 32
	GPUs   int
	Labels map[string]string
	Taints []corev1.Taint
	// ImageEnv is the environment that images bring.
	ImageEnv []string
	// Hide lists folders of this machine that containers with volumes of their
	// own do not see.
	Hide []string
	// LogSize is after how many bytes a container's log is rotated; only the
	// newest file can be asked for, as with a kubelet. 0 = 10 MiB.
	LogSize int64
}

// Node is a machine of the cluster. Its containers are processes of this one:
// they see its file system, with volumes mounted into it where that is allowed.
type Node struct {
	Name string

	c      *Cluster
	dir    string
	opts   NodeOptions
	ctx    context.Context
	cancel context.CancelFunc
	server *http.Server
	wg     sync.WaitGroup

	mu       sync.Mutex
	pods     map[types.UID]*podRun
	vanished bool
}

// AddNode adds a node and returns once pods may be placed on it.
func (c *Cluster) AddNode(ctx context.Context, name string, opts NodeOptions) (*Node, error) {
	if opts.LogSize == 0 {
		opts.LogSize = 10 << 20
	}
	if opts.CPUs == "" {
		opts.CPUs = "32"
	}
	n := &Node{Name: name, c: c, dir: c.path("node-" + name), opts: opts, pods: map[types.UID]*podRun{}}
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return nil, err
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	port, err := n.serve()
	if err != nil {
		return nil, err
	}
	if err := n.register(ctx, port); err != nil {
		return nil, err
	}
	n.wg.Add(2)
	go func() { defer n.wg.Done(); n.renew() }()
	go func() { defer n.wg.Done(); n.watch() }()
	return n, await(ctx, "node "+name, time.Minute, func(ctx context.Context) (bool, error) {
		node, err := c.Client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, t := range node.Spec.Taints {
			if t.Key == corev1.TaintNodeNotReady || t.Key == corev1.TaintNodeUnreachable {
				return false, nil
			}
		}
		return true, nil
	})
}

func quantity(s string) resource.Quantity { return resource.MustParse(s) }

func (n *Node) register(ctx context.Context, port int) error {
	room := corev1.ResourceList{corev1.ResourceCPU: quantity(n.opts.CPUs), corev1.ResourceMemory: quantity("64Gi"), corev1.ResourcePods: quantity("110")}
	if n.opts.GPUs > 0 {
		room["nvidia.com/gpu"] = quantity(fmt.Sprint(n.opts.GPUs))
	}
	now := metav1.Now()
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: map[string]string{"kubernetes.io/hostname": n.Name, "kubernetes.io/os": "linux"}},
		Spec:       corev1.NodeSpec{Taints: n.opts.Taints},
		Status: corev1.NodeStatus{Capacity: room, Allocatable: room,
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}, {Type: corev1.NodeHostName, Address: n.Name}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(port)}},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
				LastHeartbeatTime: now, LastTransitionTime: now}},
		},
	}
	for k, v := range n.opts.Labels {
		node.Labels[k] = v
	}
	_, err := n.c.Client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	return err
}

// renew says every second that the node lives.
func (n *Node) renew() {
	leases := n.c.Client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	for n.pause(time.Second) {
		now := metav1.NowMicro()
		spec := coordinationv1.LeaseSpec{HolderIdentity: &n.Name, LeaseDurationSeconds: new(int32(20)), RenewTime: &now}
		lease, err := leases.Get(n.ctx, n.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			_, _ = leases.Create(n.ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: n.Name}, Spec: spec}, metav1.CreateOptions{})
		case err == nil:
			lease.Spec = spec
			_, _ = leases.Update(n.ctx, lease, metav1.UpdateOptions{}) // tried again in a second
		}
	}
}

func (n *Node) watch() {
	lw := cache.NewListWatchFromClient(n.c.Client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll, fields.OneTermEqualSelector("spec.nodeName", n.Name))
	handle := func(o any) {
		if p, ok := o.(*corev1.Pod); ok {
			n.sync(p)
		}
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{ListerWatcher: lw, ObjectType: &corev1.Pod{},
		Handler: cache.ResourceEventHandlerFuncs{AddFunc: handle, UpdateFunc: func(_, o any) { handle(o) },
			DeleteFunc: func(o any) {
				if d, ok := o.(cache.DeletedFinalStateUnknown); ok {
					o = d.Obj
				}
				if p, ok := o.(*corev1.Pod); ok {
					n.forget(p)
				}
			}}})
	informer.Run(n.ctx.Done())
}

func (n *Node) sync(p *corev1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.pods[p.UID]
	if r == nil {
		if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			return
		}
		r = newPodRun(n, p)
		n.pods[p.UID] = r
		n.wg.Add(1)
		go func() { defer n.wg.Done(); r.run() }()
	}
	if p.DeletionTimestamp != nil {
		grace := int64(30)
		if p.DeletionGracePeriodSeconds != nil {
			grace = *p.DeletionGracePeriodSeconds
		}
		r.askToStop(time.Duration(grace) * time.Second)
	}
}

// forget ends what is left of a pod that was deleted by force.
func (n *Node) forget(p *corev1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r := n.pods[p.UID]; r != nil {
		r.askToStop(0)
	}
}

func (n *Node) serve() (int, error) {
	pool := x509.NewCertPool()
	pool.AddCert(n.c.ca.cert)
	cert, err := tls.LoadX509KeyPair(n.c.path("kubelet.crt"), n.c.path("kubelet.key"))
	if err != nil {
		return 0, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", n.serveLog)
	n.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}}
	go func() { _ = n.server.ServeTLS(l, "", "") }() // until Stop
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Running names the pods whose process is at work, with namespaces: "NS/NAME".
func (n *Node) Running() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, r := range n.pods {
		if r.alive() {
			out = append(out, r.pod.Namespace+"/"+r.pod.Name)
		}
	}
	return out
}

// Kill ends a pod's processes with SIGKILL, as the kernel does; oom says that
// it was for lack of memory. It reports whether there was one.
func (n *Node) Kill(namespace, pod string, oom bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.pods {
		if r.pod.Namespace == namespace && r.pod.Name == pod && r.alive() {
			r.kill(oom)
			return true
		}
	}
	return false
}

// Vanish is the loss of the machine: nothing runs on, and nobody is told.
func (n *Node) Vanish() {
	n.mu.Lock()
	n.vanished = true
	n.mu.Unlock()
	n.Stop()
}

// Stop ends the node's processes.
func (n *Node) Stop() {
	n.cancel()
	_ = n.server.Close()
	n.mu.Lock()
	for _, r := range n.pods {
		r.kill(false)
	}
	n.mu.Unlock()
	n.wg.Wait()
}

// pause waits, and reports false once the node has stopped.
func (n *Node) pause(d time.Duration) bool {
	select {
	case <-n.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (n *Node) logDir(uid types.UID) string { return filepath.Join(n.dir, string(uid)) }
