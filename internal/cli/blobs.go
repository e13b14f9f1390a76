package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/blob/dir"
	"github.com/trainwright/trainwright/runner/blob/s3"
)

// openBlobs opens the place that an artifacts block names. Relative paths are
// relative to the pipeline's folder.
func (a *app) openBlobs(ctx context.Context, b pipelines.BackendConfig, pipelineDir string) (runner.Blobs, error) {
	text := func(name string) string {
		if secret, ok := b.Secrets[name]; ok {
			return secret.Reveal()
		}
		s, _ := b.Attributes[name].(string) // the language checked the type; absent is ""
		return s
	}
	switch b.Type {
	case "dir":
		path := text("path")
		if !filepath.IsAbs(path) {
			path = filepath.Join(pipelineDir, path)
		}
		return dir.Open(path)
	case "s3":
		c := s3.Config{Bucket: text("bucket"), Prefix: text("prefix"), Endpoint: text("endpoint"), Region: text("region"),
			AccessKeyID: text("access_key_id"), SecretAccessKey: text("secret_access_key"), Getenv: func(k string) string { return a.env[k] }}
		if style, ok := b.Attributes["path_style"].(bool); ok {
			c.PathStyle = &style
		}
		return s3.Open(ctx, c)
	}
	return nil, pipelines.Errorf(pipelines.CodeUnavailable, "artifacts %q is not available in this version; known: dir, s3", b.Type)
}

// archive opens the pipeline's archive, if it has one, and files in the store
// what other machines did. When it is away, what is known here must do; where
// nothing is known, that is an error: what was trained elsewhere would be
// trained again.
func (a *app) archive(ctx context.Context, p *pipelines.Pipeline, store runner.Store, stateDir string) (*runner.Archive, error) {
	if p.Artifacts == nil {
		return nil, nil
	}
	blobs, err := a.openBlobs(ctx, *p.Artifacts, p.Dir)
	if err != nil {
		return nil, fmt.Errorf("artifacts %q: %w", p.Artifacts.Type, err)
	}
	archive := &runner.Archive{Blobs: blobs, Now: a.Now}
	n, err := archive.Sync(ctx, store, p.Name, stateDir)
	if n > 0 && !a.json {
		fmt.Fprintf(a.Stderr, "%d %s of pipeline %q taken over from %s\n", n, map[bool]string{true: "run", false: "runs"}[n == 1], p.Name, blobs.URL(""))
	}
	if err == nil {
		return archive, nil
	}
	known, serr := store.Runs(ctx, runner.RunFilter{Pipeline: p.Name, Limit: 1})
	if pipelines.CodeOf(err) != pipelines.CodeUnavailable || serr != nil || len(known) == 0 {
		return nil, fmt.Errorf("artifacts %q: %w", p.Artifacts.Type, err)
	}
	a.printDiagnostics(a.Stderr, problemDiagnostics(runner.Problems{{Severity: runner.SeverityWarning, Summary: "Archive cannot be reached",
		Detail: fmt.Sprintf("%s. What is known here must do; what this apply trains is sent later.", err), Range: p.Artifacts.Range}}))
	return archive, nil
}
