package cli

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// git runs a git command in a folder; its answer is empty without git, or
// where there is no repository.
func git(ctx context.Context, dir string, args ...string) string {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// gitCommit is the commit and branch of a folder's working tree, for the
// record; empty without git.
func gitCommit(ctx context.Context, dir string) (commit, branch string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	commit = git(ctx, dir, "rev-parse", "HEAD")
	if commit == "" {
		return "", ""
	}
	if branch = git(ctx, dir, "rev-parse", "--abbrev-ref", "HEAD"); branch == "HEAD" {
		branch = ""
	}
	return commit, branch
}

// gitHome is the repository that a folder was cloned from, and the folder's
// path in it; empty without a remote named origin.
func gitHome(ctx context.Context, dir string) (remote, below string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if remote = git(ctx, dir, "config", "--get", "remote.origin.url"); remote != "" {
		remote = repository(remote)
		below = strings.TrimSuffix(git(ctx, dir, "rev-parse", "--show-prefix"), "/")
	}
	if ctx.Err() != nil { // no answer is not the answer "no repository"
		return "", "", fmt.Errorf("git did not tell in time which repository %s belongs to: %w", dir, ctx.Err())
	}
	return remote, below, nil
}
