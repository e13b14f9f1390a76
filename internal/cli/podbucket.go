package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/kubernetes"
)

// Environment of `runner pod` with the keys of its bucket.
const (
	envBucketKeyID  = "RUNNER_BUCKET_ACCESS_KEY_ID"
	envBucketSecret = "RUNNER_BUCKET_SECRET_ACCESS_KEY"
)

// podBucket is the bucket of the pipeline's artifacts block as pods use it:
// keys that stand in the block go with each attempt as its Secret, and what
// this machine's environment says of the place is said to the pods.
func (a *app) podBucket(p *pipelines.Pipeline) *kubernetes.Bucket {
	if p.Artifacts == nil || p.Artifacts.Type != "s3" {
		return nil
	}
	block := *p.Artifacts
	place := map[string]any{}
	for _, name := range []string{"bucket", "prefix", "endpoint", "region", "path_style"} {
		if v := block.Attributes[name]; v != nil {
			place[name] = v
		}
	}
	for name, env := range map[string]string{"endpoint": "R2_ENDPOINT", "region": "AWS_REGION"} {
		if v := a.env[env]; place[name] == nil && v != "" {
			place[name] = v
		}
	}
	text, err := json.Marshal(place)
	if err != nil {
		return nil // texts and a bool: there is none
	}
	b := &kubernetes.Bucket{Args: []string{"--bucket=" + string(text)}, Secrets: map[string]pipelines.Secret{},
		Open: func(ctx context.Context) (runner.Blobs, error) { return a.openBlobs(ctx, block, p.Dir) }}
	for name, env := range map[string]string{"access_key_id": envBucketKeyID, "secret_access_key": envBucketSecret} {
		if v, ok := block.Secrets[name]; ok {
			b.Secrets[env] = v
		} else if v, _ := block.Attributes[name].(string); v != "" {
			b.Secrets[env] = pipelines.NewSecret(v)
		}
	}
	return b
}

// openPodBucket opens, in a pod, the bucket of its command line.
func (a *app) openPodBucket(ctx context.Context, text string) (runner.Blobs, error) {
	b := pipelines.BackendConfig{Type: "s3", Secrets: map[string]pipelines.Secret{}}
	if err := json.Unmarshal([]byte(text), &b.Attributes); err != nil {
		return nil, fmt.Errorf("--bucket: %w", err)
	}
	for name, env := range map[string]string{"access_key_id": envBucketKeyID, "secret_access_key": envBucketSecret} {
		if v := a.env[env]; v != "" {
			b.Secrets[name] = pipelines.NewSecret(v)
		}
	}
	return a.openBlobs(ctx, b, "")
}
