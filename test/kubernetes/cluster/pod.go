package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MissingImage is the beginning of images that no registry has.
const MissingImage = "missing.invalid/"

// mark names a container's processes.
const mark = "STANDIN_POD"

// podRun is a pod of one container on a node.
type podRun struct {
	n   *Node
	pod *corev1.Pod // as it was placed

	mu      sync.Mutex
	cmd     *exec.Cmd
	log     *logFile
	oom     bool
	late    bool          // its deadline is over
	over    bool          // the process has ended
	stopped chan struct{} // closed when the pod is to stop
	grace   time.Duration
	asked   bool
}

func newPodRun(n *Node, p *corev1.Pod) *podRun {
	return &podRun{n: n, pod: p, stopped: make(chan struct{})}
}

func (r *podRun) askToStop(grace time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.asked {
		r.asked, r.grace = true, grace
		close(r.stopped)
	}
}

func (r *podRun) alive() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cmd != nil && !r.over
}

func (r *podRun) logs() *logFile {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log
}

// kill ends every process of the container.
func (r *podRun) kill(oom bool) {
	r.mu.Lock()
	r.oom = r.oom || oom
	r.mu.Unlock()
	want := []byte(mark + "=" + string(r.pod.UID))
	for range 3 { // one may be forking
		procs, _ := os.ReadDir("/proc")
		for _, p := range procs {
			pid, err := strconv.Atoi(p.Name())
			if err != nil || pid == os.Getpid() {
				continue
			}
			env, err := os.ReadFile(filepath.Join("/proc", p.Name(), "environ"))
			if err == nil && bytes.Contains(env, want) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

func (r *podRun) run() {
	cmd, ok := r.start()
	if !ok {
		r.leave(nil)
		return
	}
	ended := make(chan error, 1)
	go func() {
		r.log.collect(cmd.out)
		err := cmd.Wait()
		r.mu.Lock()
		r.over = true
		r.mu.Unlock()
		ended <- err
	}()
	r.running()
	var deadline <-chan time.Time
	if s := r.pod.Spec.ActiveDeadlineSeconds; s != nil {
		deadline = time.After(time.Duration(*s) * time.Second)
	}
	select {
	case <-ended:
	case <-deadline:
		r.late = true
		_ = syscall.Kill(cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(time.Duration(*r.pod.Spec.TerminationGracePeriodSeconds) * time.Second):
			r.kill(false)
			<-ended
		}
	case <-r.stopped:
		_ = syscall.Kill(cmd.Process.Pid, syscall.SIGTERM) // it may have ended
		select {
		case <-ended:
		case <-time.After(r.grace):
			r.kill(false)
			<-ended
		}
	}
	r.kill(false) // what it left behind
	r.leave(cmd)
}

type command struct {
	*exec.Cmd
	out         *os.File
	termination string
	began       time.Time
}

// start prepares and starts the container, trying again what may come right;
// false when the pod is to stop before it could.
func (r *podRun) start() (*command, bool) {
	c := &r.pod.Spec.Containers[0]
	for try := 0; ; try++ {
		select {
		case <-r.stopped:
			return nil, false
		default:
		}
		reason, err := "ErrImagePull", error(nil)
		if strings.HasPrefix(c.Image, MissingImage) {
			err = fmt.Errorf("failed to resolve reference %q: not found", c.Image)
			if try > 0 {
				reason = "ImagePullBackOff"
			}
			r.event("Failed", fmt.Sprintf("Failed to pull image %q: %s", c.Image, err))
		}
		var argv, env []string
		var mounts []bind
		if err == nil {
			reason = "CreateContainerConfigError"
			argv, env, mounts, err = r.resolve(c)
		}
		if err == nil {
			cmd, err := r.exec(c, argv, env, mounts)
			if err == nil {
				return cmd, true
			}
			r.failStart(err)
			return nil, false
		}
		r.report(func(s *corev1.PodStatus) {
			s.Phase = corev1.PodPending
			s.ContainerStatuses = r.status(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: err.Error()}})
		})
		select {
		case <-r.stopped:
			return nil, false
		case <-r.n.ctx.Done():
			return nil, false
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (r *podRun) exec(c *corev1.Container, argv, env []string, mounts []bind) (*command, error) {
	log, err := newLogFile(r.n.logDir(r.pod.UID), r.n.opts.LogSize)
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	out := &command{out: read, termination: filepath.Join(r.n.logDir(r.pod.UID), "termination"), began: time.Now()}
	if err := os.WriteFile(out.termination, nil, 0o666); err != nil {
		return nil, err
	}
	for i, a := range argv { // its path is in the command where a container would have it mounted
		argv[i] = strings.ReplaceAll(a, c.TerminationMessagePath, out.termination)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if len(mounts) > 0 {
		if cmd, err = (rootFS{Root: r.dir("root"), Hide: r.n.opts.Hide, Mounts: mounts, Argv: argv}).command(); err != nil {
			return nil, err
		}
	}
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = env, write, write, "/"
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	out.Cmd = cmd
	r.mu.Lock()
	r.cmd, r.log = cmd, log
	r.mu.Unlock()
	return out, nil
}

// resolve reads what the container's environment refers to and looks at its mounts.
func (r *podRun) resolve(c *corev1.Container) (argv, env []string, mounts []bind, err error) {
	ctx, cancel := context.WithTimeout(r.n.ctx, 10*time.Second)
	defer cancel()
	values := map[string]string{}
	env = append(append([]string{}, r.n.opts.ImageEnv...), "PATH="+os.Getenv("PATH"), "HOME="+r.n.dir, mark+"="+string(r.pod.UID))
	for _, e := range c.Env {
		v := expand(e.Value, values)
		switch from := e.ValueFrom; {
		case from == nil:
		case from.SecretKeyRef != nil:
			s, err := r.n.c.Client.CoreV1().Secrets(r.pod.Namespace).Get(ctx, from.SecretKeyRef.Name, metav1.GetOptions{})
			if err != nil {
				return nil, nil, nil, err
			}
			b, ok := s.Data[from.SecretKeyRef.Key]
			if !ok {
				return nil, nil, nil, fmt.Errorf("couldn't find key %s in Secret %s/%s", from.SecretKeyRef.Key, r.pod.Namespace, s.Name)
			}
			v = string(b)
		case from.FieldRef != nil:
			v = r.field(from.FieldRef.FieldPath)
		}
		values[e.Name] = v
		env = append(env, e.Name+"="+v)
	}
	for _, a := range append(append([]string{}, c.Command...), c.Args...) {
		argv = append(argv, expand(a, values))
	}
	mounts, err = r.mounts(ctx, c)
	return argv, env, mounts, err
}

func (r *podRun) field(path string) string {
	if key, ok := strings.CutPrefix(path, "metadata.labels['"); ok {
		return r.pod.Labels[strings.TrimSuffix(key, "']")]
	}
	if key, ok := strings.CutPrefix(path, "metadata.annotations['"); ok {
		return r.pod.Annotations[strings.TrimSuffix(key, "']")]
	}
	return map[string]string{"metadata.name": r.pod.Name, "metadata.namespace": r.pod.Namespace, "spec.nodeName": r.n.Name}[path]
}

// mounts follows every mount to a folder of this machine. What is there at the
// same path already needs none.
func (r *podRun) mounts(ctx context.Context, c *corev1.Container) ([]bind, error) {
	var out []bind
	for _, m := range c.VolumeMounts {
		for _, v := range r.pod.Spec.Volumes {
			if v.Name != m.Name || m.MountPath == "/dev/shm" { // processes use this machine's own
				continue
			}
			var folder string
			switch {
			case v.EmptyDir != nil:
				folder = r.dir("volumes", v.Name)
				if err := os.MkdirAll(folder, 0o777); err != nil {
					return nil, err
				}
			case v.HostPath != nil:
				folder = v.HostPath.Path
			case v.PersistentVolumeClaim != nil:
				claim, err := r.n.c.Client.CoreV1().PersistentVolumeClaims(r.pod.Namespace).Get(ctx, v.PersistentVolumeClaim.ClaimName, metav1.GetOptions{})
				if err != nil {
					return nil, err
				}
				pv, err := r.n.c.Client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
				if err != nil {
					return nil, err
				}
				folder = pv.Spec.HostPath.Path
			default:
				return nil, fmt.Errorf("volume %s is of no kind that this node has", v.Name)
			}
			if folder = filepath.Join(folder, m.SubPath); folder == filepath.Clean(m.MountPath) {
				continue
			}
			if err := Mounts(); err != nil {
				return nil, fmt.Errorf("volume %s is %s and cannot be mounted at %s: %w", v.Name, folder, m.MountPath, err)
			}
			out = append(out, bind{From: folder, To: m.MountPath, ReadOnly: m.ReadOnly})
		}
	}
	return out, nil
}

// dir is a folder of the pod's own on its node.
func (r *podRun) dir(parts ...string) string {
	return filepath.Join(append([]string{r.n.dir, "pods", string(r.pod.UID)}, parts...)...)
}

// expand replaces $(NAME) as Kubernetes does; $$ is a dollar.
func expand(s string, values map[string]string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			out.WriteByte(s[i])
			continue
		}
		switch end := strings.IndexByte(s[i:], ')'); {
		case s[i+1] == '$':
			out.WriteByte('$')
			i++
		case s[i+1] == '(' && end > 0:
			name := s[i+2 : i+end]
			if v, ok := values[name]; ok {
				out.WriteString(v)
			} else {
				out.WriteString(s[i : i+end+1])
			}
			i += end
		default:
			out.WriteByte('$')
		}
	}
	return out.String()
}

func (r *podRun) status(state corev1.ContainerState) []corev1.ContainerStatus {
	c := r.pod.Spec.Containers[0]
	return []corev1.ContainerStatus{{Name: c.Name, Image: c.Image, ImageID: imageID(c.Image), State: state, Ready: state.Running != nil, Started: new(state.Running != nil)}}
}

// imageID is a reference with a digest, as nodes report it.
func imageID(image string) string {
	name, digest, ok := strings.Cut(image, "@")
	if !ok {
		digest = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(image)))
	}
	repository, _, _ := strings.Cut(name, ":")
	return repository + "@" + digest
}

func (r *podRun) running() {
	r.report(func(s *corev1.PodStatus) {
		s.Phase, s.StartTime, s.PodIP = corev1.PodRunning, new(metav1.Now()), "127.0.0.1"
		s.ContainerStatuses = r.status(corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}})
	})
}

func (r *podRun) failStart(err error) {
	r.report(func(s *corev1.PodStatus) {
		s.Phase = corev1.PodFailed
		s.ContainerStatuses = r.status(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 128, Reason: "StartError", Message: err.Error(), FinishedAt: metav1.Now()}})
	})
}

// leave reports the end; a pod that was deleted then goes.
func (r *podRun) leave(cmd *command) {
	r.n.mu.Lock()
	vanished := r.n.vanished
	r.n.mu.Unlock()
	if vanished {
		return
	}
	if cmd != nil {
		r.mu.Lock()
		oom := r.oom
		r.mu.Unlock()
		t := &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: metav1.NewTime(cmd.began), FinishedAt: metav1.Now()}
		ws, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
		t.ExitCode = int32(ws.ExitStatus())
		if ws.Signaled() {
			t.ExitCode = 128 + int32(ws.Signal())
		}
		phase := corev1.PodSucceeded
		if t.ExitCode != 0 {
			t.Reason, phase = "Error", corev1.PodFailed
		}
		if oom {
			t.Reason = "OOMKilled"
		}
		if b, err := os.ReadFile(cmd.termination); err == nil {
			t.Message = string(b[:min(len(b), 4096)])
		}
		r.report(func(s *corev1.PodStatus) {
			s.Phase = phase
			if r.late {
				s.Phase, s.Reason = corev1.PodFailed, "DeadlineExceeded"
			}
			s.ContainerStatuses = r.status(corev1.ContainerState{Terminated: t})
		})
	} else {
		select {
		case <-r.stopped:
			r.report(func(s *corev1.PodStatus) { s.Phase = corev1.PodFailed })
		default:
		}
	}
	// A pod that was deleted goes once its end is told, now or later.
	select {
	case <-r.stopped:
	case <-r.n.ctx.Done():
		return
	}
	pods := r.n.c.Client.CoreV1().Pods(r.pod.Namespace)
	for {
		err := pods.Delete(r.n.ctx, r.pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0)), Preconditions: &metav1.Preconditions{UID: &r.pod.UID}})
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || !r.n.pause(300*time.Millisecond) {
			return
		}
	}
}

// report changes the pod's status, trying again until it is filed.
func (r *podRun) report(change func(*corev1.PodStatus)) {
	pods := r.n.c.Client.CoreV1().Pods(r.pod.Namespace)
	for {
		p, err := pods.Get(r.n.ctx, r.pod.Name, metav1.GetOptions{})
		if err == nil {
			if p.UID != r.pod.UID {
				return
			}
			change(&p.Status)
			_, err = pods.UpdateStatus(r.n.ctx, p, metav1.UpdateOptions{})
		}
		if err == nil || apierrors.IsNotFound(err) || errors.Is(err, context.Canceled) || !r.n.pause(100*time.Millisecond) {
			return
		}
	}
}

func (r *podRun) event(reason, message string) {
	now := metav1.Now()
	_, _ = r.n.c.Client.CoreV1().Events(r.pod.Namespace).Create(r.n.ctx, &corev1.Event{ // for people
		ObjectMeta:     metav1.ObjectMeta{GenerateName: r.pod.Name + "."},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: r.pod.Namespace, Name: r.pod.Name, UID: r.pod.UID},
		Reason:         reason, Message: message, Type: corev1.EventTypeWarning, FirstTimestamp: now, LastTimestamp: now, Count: 1,
		Source: corev1.EventSource{Component: "kubelet", Host: r.n.Name},
	}, metav1.CreateOptions{})
}
