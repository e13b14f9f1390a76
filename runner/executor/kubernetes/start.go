package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
)

// patience is how long a start insists while the API server is away. Nothing
// runs yet that would be lost.
const patience = time.Minute

// startError is an attempt that cannot be started as it is configured.
type startError struct{ err error }

func (e *startError) Error() string { return e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// locate finds the cluster of an attempt and its Job's name: where its record
// says, or else where this block says.
func (e *Executor) locate(dir, runID string, attempt int) (*cluster, record, error) {
	rec, known, err := readRecord(dir)
	if err != nil {
		return nil, rec, err
	}
	if known {
		c, err := e.connect(Config{Kubeconfig: rec.Kubeconfig, Context: rec.Context, Namespace: rec.Namespace})
		return c, rec, err
	}
	c, err := e.connect(e.Config)
	if err != nil {
		return nil, rec, err
	}
	return c, record{Kubeconfig: e.Config.Kubeconfig, Context: e.Config.Context, Namespace: c.namespace, Job: jobName(runID, attempt),
		Bucket: e.Bucket != nil && !e.Config.covers(dir)}, nil
}

// ensureStarted sees to it that the attempt's Job was made, once. started is
// false of an attempt whose Job is gone: what it left is in its folder.
func (e *Executor) ensureStarted(ctx context.Context, job runner.Job, say func(string)) (c *cluster, rec record, there bool, err error) {
	dir := job.Task.AttemptDir
	c, rec, err = e.locate(dir, job.Task.RunID, job.Task.Attempt)
	if err != nil {
		return nil, rec, false, err
	}
	found, err := insist(ctx, patience, say, func(ctx context.Context) (*batchv1.Job, error) {
		return c.batch.Jobs(rec.Namespace).Get(ctx, rec.Job, metav1.GetOptions{})
	})
	switch {
	case err == nil && rec.UID != "" && found.UID != rec.UID:
		return c, rec, false, nil // somebody else's, of the same name
	case err == nil && found.Labels[labelRun] != labels(job.Task)[labelRun]:
		return c, rec, false, pipelines.Errorf(pipelines.CodeConflict, "Job %s in namespace %s is not this attempt's", rec.Job, rec.Namespace)
	case err == nil:
		return c, rec, true, e.settle(ctx, c, &rec, job, found, say)
	case !apierrors.IsNotFound(err):
		return c, rec, false, explain(err, "look for Job "+rec.Job, c)
	case rec.UID != "" || left(dir):
		return c, rec, false, nil
	}
	if rec.Bucket { // another machine's Job may have come and gone
		if there, err := e.leftInBucket(ctx, job, say); err != nil || there {
			return c, rec, false, err
		}
	}
	return c, rec, true, e.start(ctx, c, &rec, job, say)
}

func (e *Executor) start(ctx context.Context, c *cluster, rec *record, job runner.Job, say func(string)) error {
	if e.Config.Image == "" {
		return &startError{fmt.Errorf("%s is not started: its executor block is not known here, or names no image", job.Task.Address)}
	}
	var carry *carrier
	if !e.Config.covers(job.Task.AttemptDir) {
		if e.Bucket == nil || isCommand(job.Task) {
			return &startError{fmt.Errorf("pods cannot write to %s: the executor block has no volume that is mounted there. Add volume { claim = \"NAME\", path = … } with a path above it, the same for the runner and its pods, and keep the pipeline's folder there; or add an artifacts \"s3\" block, through whose bucket the folder then travels", job.Task.AttemptDir)}
		}
		var err error
		if carry, err = e.carrier(job); err != nil {
			return &startError{err}
		}
	}
	spec, err := e.Config.makeJob(rec.Job, job, carry)
	if err != nil {
		return &startError{err}
	}
	if carry != nil {
		if err := e.send(ctx, c, rec.Namespace, job, carry, say); err != nil {
			return err
		}
	}
	rec.Created = time.Now().UTC()
	if err := writeRecord(job.Task.AttemptDir, *rec); err != nil {
		return err
	}
	if len(job.Secrets) > 0 { // before the pod asks for it; the Job takes it over
		if err := e.putSecret(ctx, c, rec, job, say); err != nil {
			return err
		}
	}
	made, err := insist(ctx, patience, say, func(ctx context.Context) (*batchv1.Job, error) {
		j, err := c.batch.Jobs(rec.Namespace).Create(ctx, spec, metav1.CreateOptions{FieldManager: managedBy})
		if apierrors.IsAlreadyExists(err) { // an answer got lost, or another runner was faster
			return c.batch.Jobs(rec.Namespace).Get(ctx, rec.Job, metav1.GetOptions{})
		}
		return j, err
	})
	if err != nil {
		if len(job.Secrets) > 0 {
			// Without a Job nobody would remove it.
			_ = c.core.Secrets(rec.Namespace).Delete(context.WithoutCancel(ctx), rec.Job, metav1.DeleteOptions{})
		}
		if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
			return &startError{fmt.Errorf("Kubernetes refuses the Job of %s: %w", job.Task.Address, err)}
		}
		return explain(err, "make Job "+rec.Job, c)
	}
	return e.settle(ctx, c, rec, job, made, say)
}

// settle completes what a start that was cut short left undone.
func (e *Executor) settle(ctx context.Context, c *cluster, rec *record, job runner.Job, made *batchv1.Job, say func(string)) error {
	if rec.UID == "" {
		rec.UID, rec.Created = made.UID, made.CreationTimestamp.UTC()
		if err := writeRecord(job.Task.AttemptDir, *rec); err != nil {
			return err
		}
	}
	owner, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": ownedBy(made)}})
	if err != nil {
		return err
	}
	if len(job.Secrets) > 0 {
		_, err := insist(ctx, patience, say, func(ctx context.Context) (*corev1.Secret, error) {
			return c.core.Secrets(rec.Namespace).Patch(ctx, rec.Job, types.MergePatchType, owner, metav1.PatchOptions{FieldManager: managedBy})
		})
		if err != nil && !apierrors.IsNotFound(err) {
			return explain(err, "hand Secret "+rec.Job+" to its Job", c)
		}
	}
	if made.Spec.Completions != nil && *made.Spec.Completions > 1 {
		_, err := insist(ctx, patience, say, func(ctx context.Context) (*corev1.Service, error) {
			return c.core.Services(rec.Namespace).Create(ctx, makeService(made), metav1.CreateOptions{FieldManager: managedBy})
		})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return explain(err, "make Service "+rec.Job, c)
		}
	}
	return nil
}

func (e *Executor) putSecret(ctx context.Context, c *cluster, rec *record, job runner.Job, say func(string)) error {
	secrets := c.core.Secrets(rec.Namespace)
	_, err := insist(ctx, patience, say, func(ctx context.Context) (*corev1.Secret, error) {
		s, err := secrets.Create(ctx, makeSecret(rec.Job, job), metav1.CreateOptions{FieldManager: managedBy})
		if !apierrors.IsAlreadyExists(err) {
			return s, err
		}
		// One that a killed runner left; its values may be of yesterday.
		if err := secrets.Delete(ctx, rec.Job, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return nil, err
		}
		return secrets.Create(ctx, makeSecret(rec.Job, job), metav1.CreateOptions{FieldManager: managedBy})
	})
	if err != nil {
		return explain(err, "make Secret "+rec.Job, c)
	}
	return nil
}

// explain says what was tried where, and what a refusal needs.
func explain(err error, what string, c *cluster) error {
	hint := ""
	switch {
	case apierrors.IsForbidden(err):
		hint = "; the account of this kubeconfig needs that permission in the namespace: `runner doctor` lists what is missing"
	case apierrors.IsUnauthorized(err):
		hint = "; the credentials of this kubeconfig are not accepted, or have expired"
	}
	return pipelines.Errorf(pipelines.CodeUnavailable, "cannot %s in namespace %q of %s: %w%s", what, c.namespace, c.server, err, hint)
}

func ensureTask(task pipelines.Task) error {
	if _, err := os.Stat(filepath.Join(task.AttemptDir, spool.TaskFile)); err == nil {
		return nil
	}
	_, err := spool.WriteTask(task)
	return err
}
