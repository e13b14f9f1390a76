package daggertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

type (
	root struct{}
	host struct{}

	// directory is a copy of a folder; words tell where it is from, key what is in it.
	directory struct{ folder, words, key string }
	file      struct{ path, words, key string }
	secret    struct{ name, value string }
	socket    struct{ path string }
	volume    struct{ key string }

	container struct {
		calls    []string // for people
		key      []string // what decides whether a result is the same
		env      []string
		secrets  []*secret // with their variables in names
		names    []string
		mounts   []mount
		image    string
		gpus     []string
		executed *execution
	}

	mount struct {
		at     string
		source string // folder, file or socket of this machine
		write  bool   // a copy that the command may change
		shared bool   // a volume
	}
)

// call answers one field of an object.
func (e *Engine) call(ctx context.Context, object any, name string, a arguments) (any, error) {
	if name == "id" || name == "sync" { // everything is done when it is asked for
		return e.id(object), nil
	}
	switch o := object.(type) {
	case root:
		return e.callRoot(name, a)
	case host:
		return e.callHost(name, a)
	case *container:
		return e.callContainer(ctx, o, name, a)
	case *directory:
		return e.callDirectory(o, name, a)
	case *file:
		if name == "export" {
			return a.text("path"), copyTree(o.path, a.text("path"), nil)
		}
	}
	return nil, fmt.Errorf("not stood in for: %s of %T", name, object)
}

func (e *Engine) callRoot(name string, a arguments) (any, error) {
	switch name {
	case "version":
		return e.Version, nil
	case "container":
		return &container{}, nil
	case "host":
		return host{}, nil
	case "node":
		return e.node(a.text("id"))
	case "cacheVolume":
		return &volume{key: a.text("key")}, nil
	case "setSecret":
		return &secret{name: a.text("name"), value: a.text("plaintext")}, nil
	case "directory":
		dir, err := os.MkdirTemp(e.dir, "empty-")
		return &directory{folder: dir, words: "directory()", key: "empty"}, err
	}
	return nil, fmt.Errorf("not stood in for: %s", name)
}

func (e *Engine) callHost(name string, a arguments) (any, error) {
	p := a.text("path")
	switch name {
	case "unixSocket":
		return &socket{path: p}, nil
	case "file":
		sum, err := hashTree(p)
		// The file itself is mounted: programs are large, and do not change while a test runs.
		return &file{path: p, words: describe("host.file", quote(p)), key: sum}, err
	case "directory":
		if info, err := os.Stat(p); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("host directory %s: %v", p, err)
		}
		include := a.list("include")
		dir, err := os.MkdirTemp(e.dir, "host-")
		if err == nil {
			err = copyTree(p, dir, include)
		}
		if err != nil {
			return nil, err
		}
		sum, err := hashTree(dir)
		words := []string{quote(p)}
		if len(include) > 0 {
			words = append(words, "include: "+strings.Join(include, " "))
		}
		if a.flag("noCache") {
			words = append(words, "noCache")
		}
		return &directory{folder: dir, words: describe("host.directory", words...), key: sum}, err
	}
	return nil, fmt.Errorf("not stood in for: host.%s", name)
}

func (e *Engine) callDirectory(d *directory, name string, a arguments) (any, error) {
	switch name {
	case "entries":
		list, err := os.ReadDir(filepath.Join(d.folder, a.text("path")))
		out := []string{}
		for _, entry := range list {
			if entry.IsDir() {
				out = append(out, entry.Name()+"/")
			} else {
				out = append(out, entry.Name())
			}
		}
		return out, err
	case "export":
		return a.text("path"), copyTree(d.folder, a.text("path"), nil)
	}
	return nil, fmt.Errorf("not stood in for: directory.%s", name)
}

// with returns a copy of c after a call.
func (c *container) with(words, key string) *container {
	out := *c
	out.calls, out.key = append(slices.Clone(c.calls), words), append(slices.Clone(c.key), key)
	out.env, out.secrets, out.names = slices.Clone(c.env), slices.Clone(c.secrets), slices.Clone(c.names)
	out.mounts = slices.Clone(c.mounts)
	out.executed = nil
	return &out
}

func (e *Engine) callContainer(ctx context.Context, c *container, name string, a arguments) (any, error) {
	switch name {
	case "from":
		digest, ok := e.Images[a.text("address")]
		if !ok {
			return nil, fmt.Errorf("failed to resolve image %q: pull access denied", a.text("address"))
		}
		image := strings.Split(a.text("address"), "@")[0] + "@" + digest
		out := c.with(describe("from", quote(a.text("address"))), "from "+image)
		out.image = image
		return out, nil
	case "import":
		source, err := e.node(a.text("source"))
		if err != nil {
			return nil, err
		}
		f := source.(*file)
		return c.with(describe(name, f.words), name+f.key), nil
	case "imageRef":
		return c.image, nil
	case "envVariable":
		return "", nil
	case "withNewFile":
		words := describe(name, quote(a.text("path")), quote(a.text("contents")))
		return c.with(words, words), nil // for commands that are pretended only
	case "withUser", "withoutEntrypoint":
		words := describe(name, quote(a.text("name")))
		return c.with(words, words), nil
	case "withRootfs", "withMountedDirectory", "withMountedFile", "withDirectory", "withMountedCache", "withUnixSocket":
		return e.mounted(c, name, a)
	case "withEnvVariable", "withVolatileVariable", "withSecretVariable":
		return e.variable(c, name, a)
	case "experimentalWithGPU":
		if !e.GPUs {
			return nil, fmt.Errorf("GPU support is not enabled, set _EXPERIMENTAL_DAGGER_GPU_SUPPORT")
		}
		words := describe(name, a.list("devices")...)
		out := c.with(words, words)
		out.gpus = a.list("devices")
		return out, nil
	case "withExec":
		return e.exec(ctx, c, a)
	case "exitCode", "combinedOutput", "directory", "file":
		if c.executed == nil {
			return nil, fmt.Errorf("%s of a container that ran nothing", name)
		}
		if c.executed.pretended && name == "directory" {
			return e.callRoot("directory", a)
		}
		return c.result(name, a.text("path"))
	}
	return nil, fmt.Errorf("not stood in for: container.%s", name)
}

func (e *Engine) mounted(c *container, name string, a arguments) (any, error) {
	source, err := e.node(a.text("source") + a.text("cache") + a.text("directory"))
	if err != nil {
		return nil, err
	}
	var words, key string
	m := mount{at: a.text("path")}
	switch s := source.(type) {
	case *directory:
		words, key, m.source, m.write = s.words, s.key, s.folder, !a.flag("readOnly")
	case *file:
		words, key, m.source = s.words, s.key, s.path
	case *socket:
		words, key, m.source = describe("host.unixSocket", quote(s.path)), s.path, s.path
	case *volume:
		words, key, m.shared = describe("cacheVolume", quote(s.key)), s.key, true
		m.source = filepath.Join(e.dir, "volume-"+hash(s.key))
		if err := os.MkdirAll(m.source, 0o755); err != nil {
			return nil, err
		}
	}
	list := []string{quote(m.at), words}
	if a.flag("readOnly") {
		list = append(list, "readOnly")
	}
	if owner := a.text("owner"); owner != "" {
		list = append(list, "owner "+owner)
	}
	if name == "withRootfs" {
		return c.with(describe(name, words), name+key), nil
	}
	out := c.with(describe(name, list...), name+m.at+key)
	out.mounts = append(out.mounts, m)
	return out, nil
}

func (e *Engine) variable(c *container, name string, a arguments) (any, error) {
	v, value := a.text("name"), a.text("value")
	switch name {
	case "withSecretVariable":
		s, err := e.node(a.text("secret"))
		if err != nil {
			return nil, err
		}
		words := describe(name, quote(v), describe("secret", quote(s.(*secret).name)))
		out := c.with(words, words)
		out.secrets, out.names = append(out.secrets, s.(*secret)), append(out.names, v)
		return out, nil
	case "withVolatileVariable":
		out := c.with(describe(name, quote(v), quote(value)), "")
		out.env = append(out.env, v+"="+value)
		return out, nil
	}
	words := describe(name, quote(v), quote(value))
	out := c.with(words, words)
	out.env = append(out.env, v+"="+value)
	return out, nil
}

// result reads what a command left.
func (c *container) result(name, p string) (any, error) {
	x := c.executed
	switch name {
	case "exitCode":
		return x.code, nil
	case "combinedOutput":
		return x.output, nil
	}
	best := -1
	for i, m := range x.mounts {
		if p == m.at || strings.HasPrefix(p, m.at+"/") {
			if best < 0 || len(m.at) >= len(x.mounts[best].at) {
				best = i
			}
		}
	}
	if best < 0 || x.mounts[best].shared {
		return nil, fmt.Errorf("%s is in no folder of the container", p)
	}
	real := path.Join(x.mounts[best].source, strings.TrimPrefix(p, x.mounts[best].at))
	if _, err := os.Stat(real); err != nil {
		return nil, err
	}
	if name == "file" {
		return &file{path: real, words: "file", key: real}, nil
	}
	return &directory{folder: real, words: "directory", key: real}, nil
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

func quote(s string) string { return fmt.Sprintf("%q", s) }
