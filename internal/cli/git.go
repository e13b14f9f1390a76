package cli

import (
	"context"
	"os/exec"
	"strings"
	"time"
)

// gitCommit is the commit and branch of a folder's working tree, for the
// record; empty without git.
func gitCommit(ctx context.Context, dir string) (commit, branch string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	git := func(args ...string) string {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	commit = git("rev-parse", "HEAD")
	if commit == "" {
		return "", ""
	}
	if branch = git("rev-parse", "--abbrev-ref", "HEAD"); branch == "HEAD" {
		branch = ""
	}
	return commit, branch
}
