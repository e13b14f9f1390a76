package kubernetes

import (
	"context"
	"path/filepath"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/runner"
)

// stopPatience is what a pod gets beyond its grace before Cancel gives up
// waiting: the kubelet and the API server need their time too.
const stopPatience = 30 * time.Second

// Cancel deletes the attempt's pods with the grace that lets the step write a
// checkpoint; the Job then fails and stays as a trace. One whose step never
// started is deleted as a whole.
func (e *Executor) Cancel(ctx context.Context, job runner.Job) error {
	dir := job.Task.AttemptDir
	c, rec, err := e.locate(dir, job.Task.RunID, job.Task.Attempt)
	if err != nil {
		return err
	}
	found, err := call(ctx, func(ctx context.Context) (*batchv1.Job, error) {
		return c.batch.Jobs(rec.Namespace).Get(ctx, rec.Job, metav1.GetOptions{})
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return explain(err, "look for Job "+rec.Job, c)
	}
	if rec.UID == "" {
		rec.UID = found.UID
	}
	s, err := look(ctx, c, rec)
	if err != nil || s.over() {
		return err
	}
	if !stopAsked(dir) {
		if err := durable.WriteJSON(filepath.Join(dir, stopFile), stopNote{Time: time.Now().UTC()}, 0o644); err != nil {
			return err
		}
	}
	grace := job.Grace + slack
	if rec.Bucket {
		grace = job.Grace + sendSlack
	}
	if err := stopPods(ctx, c, rec, s, grace); err != nil {
		return err
	}
	return awaitOver(ctx, c, rec, grace)
}

func stopPods(ctx context.Context, c *cluster, rec record, s state, grace time.Duration) error {
	working := false
	for _, p := range s.pods {
		if p.gone || terminal(p.Pod) {
			continue
		}
		working = working || started(p.Pod)
		if p.DeletionTimestamp != nil {
			continue // asked already
		}
		_, err := call(ctx, func(ctx context.Context) (any, error) {
			return nil, c.core.Pods(rec.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{
				GracePeriodSeconds: new(wholeSeconds(grace)), Preconditions: &metav1.Preconditions{UID: &p.UID}})
		})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return explain(err, "delete pod "+p.Name, c)
		}
	}
	if working {
		return nil
	}
	_, err := call(ctx, func(ctx context.Context) (any, error) {
		return nil, c.batch.Jobs(rec.Namespace).Delete(ctx, rec.Job, background(rec))
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return explain(err, "delete Job "+rec.Job, c)
	}
	return nil
}

func awaitOver(ctx context.Context, c *cluster, rec record, grace time.Duration) error {
	for end := time.Now().Add(grace + stopPatience); ; {
		s, err := look(ctx, c, rec)
		if err == nil && s.over() {
			return nil
		}
		if err != nil && !passing(err) {
			return err
		}
		if time.Now().After(end) {
			return pipelines.Errorf(pipelines.CodeTimeout, "%s is still there %s after it was asked to stop; its node may be lost%s",
				rec.Job, (grace + stopPatience).Round(time.Second), lostNode(s))
		}
		if !runner.Sleep(ctx, 200*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// lostNode says what a person can do who knows better than the API server.
func lostNode(s state) string {
	for _, p := range s.pods {
		if !p.gone && !terminal(p.Pod) && p.Spec.NodeName != "" {
			return ": if node " + p.Spec.NodeName + " is really gone, delete it (kubectl delete node " + p.Spec.NodeName + ") or the pod by force"
		}
	}
	return ""
}
