package kubernetes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/kubernetes/work"
)

// Bucket carries the folders of runs whose pods share no volume with the
// runner; see package work.
type Bucket struct {
	Open func(ctx context.Context) (runner.Blobs, error)
	// Args make `runner pod` open it too.
	Args []string
	// Secrets are keys to it that pods get in their environment; without, they
	// need some of their own: secret_env, or a service account's role.
	Secrets map[string]pipelines.Secret
}

// bucketPatience is how long an attempt's start, and its end, wait for a
// bucket that is away.
const bucketPatience = time.Hour

// home is where an attempt's folder meets the pod's: nil on a volume that both
// see.
type home struct {
	place  work.Place
	runDir string
	say    func(string)
}

// home opens the bucket that an attempt's folder travels through.
func (e *Executor) home(ctx context.Context, task pipelines.Task, say func(string)) (*home, error) {
	if e.Bucket == nil {
		return nil, pipelines.Errorf(pipelines.CodeInvalid,
			"what attempt %d of run %s made lies in a bucket, and the pipeline names none now; put its artifacts \"s3\" block back", task.Attempt, task.RunID)
	}
	blobs, err := e.Bucket.Open(ctx)
	if err != nil {
		return nil, err
	}
	return &home{place: work.Place{Blobs: blobs, Run: task.RunID, Attempt: task.Attempt}, runDir: task.RunDir, say: say}, nil
}

// insist does something with the bucket, again while it is away.
func (h *home) insist(ctx context.Context, what string, f func() error) error {
	end := time.Now().Add(bucketPatience)
	for delay := time.Second; ; delay = min(2*delay, 30*time.Second) {
		err := f()
		if err == nil || pipelines.CodeOf(err) != pipelines.CodeUnavailable || time.Now().After(end) {
			return err
		}
		h.say(fmt.Sprintf("%s waits for the bucket: %s", what, err))
		if !runner.Sleep(ctx, delay) {
			return ctx.Err()
		}
	}
}

// bringEvents brings the spool as far as it was sent; what cannot be had now
// comes later.
func (h *home) bringEvents(ctx context.Context) {
	if h != nil {
		if err := h.place.BringEvents(ctx, h.runDir); err != nil && ctx.Err() == nil {
			h.say(fmt.Sprintf("the events in the bucket cannot be read now: %s", err))
		}
	}
}

// bring brings home what an attempt that has ended left.
func (h *home) bring(ctx context.Context) error {
	if h == nil {
		return nil
	}
	return h.insist(ctx, "what the step made", func() error {
		_, err := h.place.Bring(ctx, h.runDir)
		return err
	})
}

// remove removes what is home from the bucket. What is left there by a bucket
// that is away goes with the run (runner gc).
func (h *home) remove(ctx context.Context) {
	if h != nil {
		_ = h.place.Remove(ctx)
	}
}

// leftInBucket reports that a pod of the attempt has left something there.
func (e *Executor) leftInBucket(ctx context.Context, job runner.Job, say func(string)) (left bool, err error) {
	h, err := e.home(ctx, job.Task, say)
	if err != nil {
		return false, err
	}
	err = h.insist(ctx, "the start", func() error {
		left, err = h.place.Started(ctx)
		return err
	})
	return left, err
}

// carrier is how an attempt's files get into its pod and out of it.
type carrier struct {
	inputs  []work.Input
	volumes []corev1.Volume
	mounts  []corev1.VolumeMount
	args    []string // of `runner pod`
}

func (e *Executor) carrier(job runner.Job) (*carrier, error) {
	inputs, err := e.Config.inputs(job)
	if err != nil {
		return nil, err
	}
	c := &carrier{inputs: inputs, args: append(slices.Clone(e.Bucket.Args), "--run="+job.Task.RunID, fmt.Sprintf("--attempt=%d", job.Task.Attempt))}
	c.volumes, c.mounts, err = emptyDirs(job.Task.RunDir, inputs)
	return c, err
}

// send puts into the bucket what the pod starts with.
func (e *Executor) send(ctx context.Context, cl *cluster, namespace string, job runner.Job, c *carrier, say func(string)) error {
	h, err := e.home(ctx, job.Task, say)
	if err != nil {
		return &startError{err}
	}
	if job.Task.Attempt > 1 {
		if err := h.takeOver(ctx, cl, namespace, job); err != nil {
			return err
		}
	}
	say("what the step reads is sent to " + h.place.Blobs.URL(""))
	err = h.insist(ctx, "the start", func() error { return e.sender.Send(ctx, h.place, h.runDir, c.inputs) })
	if code := pipelines.CodeOf(err); code == pipelines.CodeInvalid || code == pipelines.CodeNotFound {
		return &startError{err}
	}
	return err
}

// takeOver brings home what the attempt before this one left. Whoever followed
// it may be gone with all that it had: its pod, if it still works, is asked to
// write a checkpoint and stop, so that never two attempts of a run work at once.
func (h *home) takeOver(ctx context.Context, c *cluster, namespace string, job runner.Job) error {
	before := record{Namespace: namespace, Job: jobName(job.Task.RunID, job.Task.Attempt-1)}
	found, err := insist(ctx, patience, h.say, func(ctx context.Context) (*batchv1.Job, error) {
		return c.batch.Jobs(namespace).Get(ctx, before.Job, metav1.GetOptions{})
	})
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return explain(err, "look for Job "+before.Job, c)
	default:
		before.UID = found.UID
		s, err := look(ctx, c, before)
		if err != nil {
			return err
		}
		if !s.over() {
			h.say("the attempt before still works as Job " + before.Job + " and is asked to stop")
			if err := stopPods(ctx, c, before, s, job.Grace+sendSlack); err != nil {
				return err
			}
			if err := awaitOver(ctx, c, before, job.Grace+sendSlack); err != nil {
				return err
			}
		}
	}
	left := *h
	left.place.Attempt--
	return left.bring(ctx)
}

// inputs lists what the pod needs besides its run's folder and what its
// volumes show.
func (c Config) inputs(job runner.Job) ([]work.Input, error) {
	t := job.Task
	var all []work.Input
	if job.Container != nil {
		for _, p := range job.Container.Folders {
			all = append(all, work.Input{From: p})
		}
	}
	for _, p := range runner.Reads(t) {
		all = append(all, work.Input{From: p})
	}
	if t.Dataset != nil {
		folders, _, err := runner.DataFolders(t.Dataset)
		if err != nil {
			return nil, err
		}
		for _, p := range folders {
			all = append(all, work.Input{From: p, Key: t.Dataset.Fingerprint})
		}
	}
	var out []work.Input
	for _, in := range all {
		if !c.shows(in.From) && !slices.ContainsFunc(out, func(o work.Input) bool { return o.From == in.From }) {
			out = append(out, in)
		}
	}
	return out, nil
}

// shows reports that pods see a path of the runner on one of their volumes.
func (c Config) shows(path string) bool {
	return slices.ContainsFunc(c.Volumes, func(v Volume) bool { return below(path, v.Path) })
}

func below(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// emptyDirs are the folders that a pod without a shared volume starts with
// empty: the run's, and those of its inputs, at the runner's paths.
func emptyDirs(runDir string, inputs []work.Input) ([]corev1.Volume, []corev1.VolumeMount, error) {
	dirs := []string{runDir}
	for _, in := range inputs {
		dir := in.From
		if info, err := os.Stat(dir); err == nil && !info.IsDir() {
			dir = filepath.Dir(dir)
		}
		if taken := systemFolder(dir); taken != "" {
			return nil, nil, fmt.Errorf("pods cannot get %s: it lies in %s, which belongs to their image. Move it into the pipeline's folder", in.From, taken)
		}
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	var volumes []corev1.Volume
	var mounts []corev1.VolumeMount
	for i, dir := range dirs {
		if slices.ContainsFunc(mounts, func(m corev1.VolumeMount) bool { return below(dir, m.MountPath) }) {
			continue
		}
		name := fmt.Sprintf("work-%d", i)
		volumes = append(volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
		mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: dir})
	}
	return volumes, mounts, nil
}

// systemFolder is the folder of an image's own that a path lies in; "" = none.
func systemFolder(dir string) string {
	if dir == "/" {
		return "/"
	}
	for _, s := range []string{"/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr"} {
		if below(dir, s) {
			return s
		}
	}
	return ""
}
