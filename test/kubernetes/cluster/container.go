package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// containerArg makes this program, started in a mount namespace of its own, a
// container: Contain.
const containerArg = "standin-container"

// rootFS is what a container sees: this machine's files, some of them hidden,
// and its volumes.
type rootFS struct {
	Root   string   `json:"root"` // an empty folder for it
	Hide   []string `json:"hide"`
	Mounts []bind   `json:"mounts"`
	Argv   []string `json:"argv"`
}

type bind struct {
	From     string `json:"from"`
	To       string `json:"to"`
	ReadOnly bool   `json:"read_only"`
}

// Contain is called first by programs that run nodes. Started as a container
// it never returns.
func Contain() {
	if len(os.Args) != 3 || os.Args[1] != containerArg {
		return
	}
	var fs rootFS
	err := json.Unmarshal([]byte(os.Args[2]), &fs)
	if err == nil {
		err = fs.enter()
	}
	var program string
	if err == nil {
		program, err = exec.LookPath(fs.Argv[0])
	}
	if err == nil {
		err = syscall.Exec(program, fs.Argv, os.Environ())
	}
	fmt.Fprintln(os.Stderr, "container:", err)
	os.Exit(128)
}

// enter builds the file system from bind mounts and makes it this process's own.
func (fs rootFS) enter() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("leave the machine's mounts alone: %w", err)
	}
	if err := syscall.Mount("root", fs.Root, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount a root: %w", err)
	}
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, e := range entries {
		from, to := "/"+e.Name(), filepath.Join(fs.Root, e.Name())
		if e.Type()&os.ModeSymlink != 0 {
			target, err := os.Readlink(from)
			if err := errors.Join(err, os.Symlink(target, to)); err != nil {
				return err
			}
			continue
		}
		if err := bindTo(bind{From: from, To: to}); err != nil {
			return err
		}
	}
	for _, dir := range fs.Hide {
		if err := syscall.Mount("hidden", filepath.Join(fs.Root, dir), "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("hide %s: %w", dir, err)
		}
	}
	for _, m := range fs.Mounts {
		m.To = filepath.Join(fs.Root, m.To)
		if err := bindTo(m); err != nil {
			return err
		}
	}
	return errors.Join(syscall.Chroot(fs.Root), os.Chdir("/"))
}

func bindTo(m bind) error {
	info, err := os.Stat(m.From)
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = os.MkdirAll(m.To, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(m.To), 0o755); err == nil {
		var f *os.File
		if f, err = os.OpenFile(m.To, os.O_CREATE|os.O_RDONLY, 0o644); err == nil {
			err = f.Close()
		}
	}
	if err == nil {
		err = syscall.Mount(m.From, m.To, "", syscall.MS_BIND|syscall.MS_REC, "")
	}
	if err == nil && m.ReadOnly {
		err = syscall.Mount("", m.To, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	}
	if err != nil {
		return fmt.Errorf("mount %s at %s: %w", m.From, m.To, err)
	}
	return nil
}

// command is the container's process, not started yet.
func (fs rootFS) command() (*exec.Cmd, error) {
	if err := os.MkdirAll(fs.Root, 0o755); err != nil {
		return nil, err
	}
	text, err := json.Marshal(fs)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/proc/self/exe", containerArg, string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Cloneflags: syscall.CLONE_NEWNS}
	return cmd, nil
}

// Mounts reports why this machine lets nobody mount what containers see; nil =
// it does.
var Mounts = sync.OnceValue(func() error {
	dir, err := os.MkdirTemp("", "mounts-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd, err := rootFS{Root: dir, Argv: []string{"true"}}.command()
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("containers with volumes of their own need the right to mount: %w %s", err, out)
	}
	return nil
})
