// Package cluster starts a real Kubernetes control plane on this machine,
// with nodes whose kubelet is a stand-in: it runs a container's command as a
// process and serves its log.
package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
)

// Binary is where the control plane is kept once it is built: outside the
// checkout, by the version of everything in it. root is the folder of its module.
func Binary(root string) (path, version string, err error) {
	h := sha256.New()
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return "", "", err
		}
		h.Write(b)
		if m := kubernetesVersion.FindSubmatch(b); m != nil {
			version = string(m[1])
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", err
	}
	name := fmt.Sprintf("controlplane-%s-%s-%s", version, runtime.GOARCH, hex.EncodeToString(h.Sum(nil)[:6]))
	return filepath.Join(cache, "trainwright", "test", name), version, nil
}

var kubernetesVersion = regexp.MustCompile(`k8s\.io/kubernetes (v[0-9.]+)`)

// Build builds the control plane unless it is there: some minutes and 3 GB of
// memory, once per version.
func Build(root string) (string, error) {
	path, version, err := Binary(root)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	const pkg = "k8s.io/component-base/version."
	flags := fmt.Sprintf("-s -w -X %[1]sgitVersion=%[2]s -X %[1]sgitMajor=1 -X %[1]sgitMinor=%[3]s", pkg, version, minor.FindStringSubmatch(version)[1])
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", path+".new", ".")
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, os.Stderr, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build the control plane: %w", err)
	}
	return path, os.Rename(path+".new", path)
}

var minor = regexp.MustCompile(`^v[0-9]+\.([0-9]+)`)
