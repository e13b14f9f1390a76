package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Lock is the lock of an attempt folder, held until the last copy of its
// descriptor is closed, in whichever process.
type Lock struct{ f *os.File }

// TryLock takes the lock of an attempt folder. ok is false when a step holds it.
func TryLock(dir string) (l *Lock, ok bool, err error) {
	f, err := os.OpenFile(filepath.Join(dir, LockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, false, fmt.Errorf("open attempt lock: %w", err)
	}
	// Held takes a shared lock for a moment, which must not look like a step.
	for try := 0; ; try++ {
		err = flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return &Lock{f}, true, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || try == 10 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, false, nil
	}
	return nil, false, fmt.Errorf("lock attempt folder %s: %w", dir, err)
}

// Held reports that a process holds the lock of an attempt folder. A folder
// whose lock file was never made is not held.
func Held(dir string) (bool, error) {
	f, err := os.Open(filepath.Join(dir, LockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open attempt lock: %w", err)
	}
	defer f.Close()
	err = flock(f, syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("probe attempt lock in %s: %w", dir, err)
	}
	return false, nil
}

// Inherited returns the lock that the runner passed to this process, or nil
// when it passed none. The descriptor is marked close-on-exec, so that
// programs started by the step do not hold the lock beyond the step's life.
func Inherited() (*Lock, error) {
	s := os.Getenv(EnvLockFD)
	if s == "" {
		return nil, nil
	}
	fd, err := strconv.Atoi(s)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s=%q is no descriptor of a lock", EnvLockFD, s)
	}
	if err := os.Unsetenv(EnvLockFD); err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), LockFile)
	if _, err := f.Stat(); err != nil {
		return nil, fmt.Errorf("%s=%d: the descriptor is not open: %w", EnvLockFD, fd, err)
	}
	syscall.CloseOnExec(fd)
	return &Lock{f}, nil
}

// File is the lock's descriptor, to be passed to a child process.
func (l *Lock) File() *os.File { return l.f }

// Close gives up this process's copy of the lock. Nil is allowed.
func (l *Lock) Close() error {
	if l == nil {
		return nil
	}
	return l.f.Close()
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
