package daggertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// execution is what a command left.
type execution struct {
	code   int
	output string
	mounts []mount
	// pretended: nothing ran.
	pretended bool
}

// execError is a command that failed where success was expected.
type execError struct {
	args   []string
	code   int
	output string
}

func (e *execError) Error() string { return fmt.Sprintf("process %q exit code: %d", e.args, e.code) }

// expected reports that a command's end is no error. An end by a signal always is.
func (x *execution) expected(what string) bool {
	return x.code == 0 || what == "ANY" && (x.code < 128 || x.code > 191)
}

func (e *Engine) exec(ctx context.Context, c *container, a arguments) (any, error) {
	args := a.list("args")
	list := []string{fmt.Sprintf("%q", args)}
	if expect := a.text("expect"); expect != "" {
		list = append(list, expect)
	}
	words := describe("withExec", list...)
	out := c.with(words, words)
	key := hash(strings.Join(out.key, "\n"))
	e.mu.Lock()
	e.asked = append(e.asked, strings.Join(out.calls, "\n"))
	if e.locks[key] == nil {
		e.locks[key] = &sync.Mutex{}
	}
	one := e.locks[key]
	e.mu.Unlock()
	one.Lock() // the same command runs once, also for two clients
	defer one.Unlock()
	e.mu.Lock()
	x := e.cache[key]
	if slices.Contains(e.Pretend, args[0]) {
		x = &execution{pretended: true}
	}
	e.mu.Unlock()
	e.told.called(ctx, x != nil)
	if x == nil {
		var err error
		if x, err = e.runSandboxed(ctx, out, args); err != nil {
			return nil, err
		}
		e.mu.Lock()
		if x.expected(a.text("expect")) {
			e.cache[key] = x
		}
		e.mu.Unlock()
	}
	if !x.expected(a.text("expect")) {
		return nil, &execError{args, x.code, x.output}
	}
	out.executed = x
	return out, nil
}

// box is what a sandboxed process is told.
type box struct {
	Root   string
	Mounts []boxMount
	Argv   []string
	Env    []string
}

type boxMount struct{ Source, At string }

const boxArg = "daggertest-sandbox"

func (e *Engine) runSandboxed(ctx context.Context, c *container, args []string) (*execution, error) {
	dir, err := os.MkdirTemp(e.dir, "exec-")
	if err != nil {
		return nil, err
	}
	x := &execution{}
	b := box{Root: filepath.Join(dir, "root"), Argv: args}
	for i, m := range c.mounts {
		if m.write && !m.shared {
			to := filepath.Join(dir, fmt.Sprint("mount-", i))
			if err := copyTree(m.source, to, nil); err != nil {
				return nil, err
			}
			m.source = to
		}
		x.mounts = append(x.mounts, m)
		b.Mounts = append(b.Mounts, boxMount{m.source, m.at})
	}
	b.Env = append(b.Env, "PATH="+os.Getenv("PATH"))
	b.Env = append(b.Env, c.env...)
	for i, s := range c.secrets {
		b.Env = append(b.Env, c.names[i]+"="+s.value)
	}
	if len(c.gpus) > 0 {
		b.Env = append(b.Env, "NVIDIA_VISIBLE_DEVICES="+strings.Join(c.gpus, ","))
	}
	id, _ := ctx.Value(traceKey{}).(string)
	code, output, err := runBox(ctx, b, output{&e.told, id})
	x.code, x.output = code, output
	return x, err
}

// runBox runs a command; what it writes is returned, and told as it comes.
func runBox(ctx context.Context, b box, tell io.Writer) (int, string, error) {
	if err := os.MkdirAll(b.Root, 0o755); err != nil {
		return 0, "", err
	}
	text, err := json.Marshal(b)
	if err != nil {
		return 0, "", err
	}
	exe, err := os.Executable()
	if err != nil {
		return 0, "", err
	}
	cmd := exec.CommandContext(ctx, exe, boxArg)
	cmd.Stdin = bytes.NewReader(text)
	var out bytes.Buffer
	both := io.MultiWriter(&out, tell)
	cmd.Stdout, cmd.Stderr = both, both
	flags := uintptr(syscall.CLONE_NEWNS | syscall.CLONE_NEWPID)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	err = cmd.Run()
	if ctx.Err() != nil {
		return 0, "", ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, "", err
	}
	ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return 128 + int(ws.Signal()), out.String(), nil
	}
	return cmd.ProcessState.ExitCode(), out.String(), nil
}

// Main becomes a sandboxed process if the command line says so. Call it first
// in TestMain.
func Main() {
	if len(os.Args) != 2 || os.Args[1] != boxArg {
		return
	}
	var b box
	err := json.NewDecoder(os.Stdin).Decode(&b)
	if err == nil {
		err = enter(b)
	}
	fmt.Fprintln(os.Stderr, "sandbox:", err)
	os.Exit(125)
}

// enter makes the file system that the command sees, and becomes the command.
func enter(b box) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("own mounts: %w", err)
	}
	if err := syscall.Mount("tmpfs", b.Root, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("root: %w", err)
	}
	tops, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, top := range tops {
		from, to := "/"+top.Name(), filepath.Join(b.Root, top.Name())
		switch {
		case top.Name() == "run":
		case top.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(from)
			if err != nil {
				return err
			}
			if err := os.Symlink(target, to); err != nil {
				return err
			}
		case top.Name() == "proc":
			if err := os.Mkdir(to, 0o755); err != nil {
				return err
			}
			if syscall.Mount("proc", to, "proc", 0, "") != nil {
				if err := bind(from, to); err != nil {
					return err
				}
			}
		case top.IsDir():
			if err := bind(from, to); err != nil {
				return err
			}
		}
	}
	for _, m := range b.Mounts {
		if err := bind(m.Source, filepath.Join(b.Root, m.At)); err != nil {
			return err
		}
	}
	if err := syscall.Chroot(b.Root); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	program := b.Argv[0]
	if !strings.Contains(program, "/") {
		if program, err = exec.LookPath(program); err != nil {
			return err
		}
	}
	return syscall.Exec(program, b.Argv, b.Env)
}

// bind makes from visible at to.
func bind(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = os.MkdirAll(to, 0o755)
	} else if err = os.MkdirAll(path.Dir(to), 0o755); err == nil {
		if _, serr := os.Lstat(to); serr != nil {
			err = os.WriteFile(to, nil, 0o644)
		}
	}
	if err != nil {
		return err
	}
	if err := syscall.Mount(from, to, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("%s at %s: %w", from, to, err)
	}
	return nil
}

// canSandbox tries a sandbox.
func canSandbox() error {
	dir, err := os.MkdirTemp("", "sandbox-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	code, output, err := runBox(context.Background(), box{Root: filepath.Join(dir, "root"), Argv: []string{"true"}}, io.Discard)
	if err == nil && code != 0 {
		err = errors.New(strings.TrimSpace(output))
	}
	return err
}

// copyTree copies a file or folder. include are paths below the folder, of
// which one may end in /**; without any everything is copied.
func copyTree(from, to string, include []string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			if len(include) > 0 && rel != "." {
				return nil // made for the files in it
			}
			return os.MkdirAll(target, 0o755)
		}
		if len(include) > 0 && !included(rel, include) {
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			link, err := os.Readlink(p)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		return copyFile(p, target)
	})
}

func included(rel string, include []string) bool {
	for _, i := range include {
		if dir, ok := strings.CutSuffix(i, "/**"); ok && strings.HasPrefix(rel, dir+"/") {
			return true
		}
		if ok, err := path.Match(i, rel); err == nil && ok {
			return true
		}
	}
	return false
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// hashTree is a hash of names and contents.
func hashTree(root string) (string, error) {
	sum := sha256.New()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		fmt.Fprintf(sum, "%q\n", rel)
		_, err = io.Copy(sum, f)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}
