package cli

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/trainwright/trainwright/runner"
)

// claim says whose state it is that place has of the pipeline in dir. State in the
// pipeline's own folder is at home there, wherever that folder is moved.
// Elsewhere the sources are known by their git repository, so that a checkout
// that is thrown away is the same source as the next; else by their folder.
func claim(ctx context.Context, dir string, place storePlace) (runner.Claim, error) {
	c := runner.Claim{State: place.path}
	dir, err := realPath(dir)
	if err != nil {
		return c, err
	}
	if place.remote() {
		return sourceOf(ctx, c, dir)
	}
	state, err := realPath(place.dir)
	if err != nil {
		return c, err
	}
	if rel, err := filepath.Rel(dir, state); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
		c.Source = "the folder that holds the state"
		return c, nil
	}
	return sourceOf(ctx, c, dir)
}

// sourceOf knows sources by their git repository, else by their folder.
func sourceOf(ctx context.Context, c runner.Claim, dir string) (runner.Claim, error) {
	remote, below, err := gitHome(ctx, dir)
	if err != nil {
		return c, err
	}
	switch {
	case remote != "" && below != "":
		c.Source = fmt.Sprintf("folder %s of git repository %s", below, remote)
	case remote != "":
		c.Source = "git repository " + remote
	default:
		c.Source = "folder " + dir
	}
	return c, nil
}

func realPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// repository writes a git remote the same however it is reached: without
// scheme, user, token and ".git".
func repository(remote string) string {
	host, path, scp := strings.Cut(remote, ":")
	if u, err := url.Parse(remote); err == nil && u.Host != "" {
		host, path, scp = u.Hostname(), u.Path, true
	} else if strings.Contains(host, "/") || strings.HasPrefix(path, "//") {
		scp = false // a path of this machine
	}
	trim := func(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "/"), ".git") }
	if !scp {
		return trim(strings.TrimPrefix(remote, "file://"))
	}
	host = host[strings.LastIndex(host, "@")+1:]
	return strings.ToLower(host) + "/" + trim(strings.TrimLeft(path, "/"))
}
