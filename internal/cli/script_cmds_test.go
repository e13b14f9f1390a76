package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/trainwright/trainwright/internal/pgtest"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/store/sqlite"
)

// scriptCommands are the scripts' own commands.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"images":      cmdImages,
	"foreignlock": cmdForeignLock,
	"waitfor":     cmdWaitFor,
	"code":        cmdCode,
	"interrupted": cmdInterrupted,
	"nocanary":    cmdNoCanary,
	"damage":      cmdDamage,
	"freeport":    cmdFreePort,
	"httpget":     cmdHTTPGet,
	"postgres":    cmdPostgres,
}

// cmdImages is `images DIR COUNT SIZE`: COUNT different PNG files of SIZE x SIZE pixels.
func cmdImages(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: images DIR COUNT SIZE")
	}
	dir := ts.MkAbs(args[0])
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	size, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(os.MkdirAll(dir, 0o755))
	rng := rand.New(rand.NewPCG(uint64(len(dir)), seedOf(dir)))
	for i := range count {
		img := image.NewRGBA(image.Rect(0, 0, size, size))
		for j := range img.Pix {
			img.Pix[j] = byte(rng.IntN(256))
		}
		img.Set(0, 0, color.White)
		f, err := os.Create(filepath.Join(dir, strconv.Itoa(i)+".png"))
		ts.Check(err)
		ts.Check(png.Encode(f, img))
		ts.Check(f.Close())
	}
}

func seedOf(s string) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range []byte(s) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// cmdWaitFor is `waitfor GLOB`: until a file of that name is there, at most 20 s.
func cmdWaitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfor GLOB")
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if found, _ := filepath.Glob(ts.MkAbs(args[0])); len(found) > 0 {
			return
		}
	}
	ts.Fatalf("%s did not appear", args[0])
}

// cmdCode is `code N PROGRAM ARG...`: it runs the program and wants exit code N.
func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%v: exit code %d, want %d", args[1:], got, want)
	}
}

// cmdInterrupted is `interrupted GLOB PROGRAM ARG...`: it starts the program,
// waits for a file, sends SIGINT twice in a row (as programs do that signal a
// process and its group), and wants exit code 8.
func cmdInterrupted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: interrupted GLOB PROGRAM ARG...")
	}
	ts.Check(ts.Exec("sh", append([]string{"-c", `
glob=$1; shift
"$@" & pid=$!
i=0
until ls $glob >/dev/null 2>&1; do i=$((i+1)); [ $i -gt 1000 ] && exit 99; sleep 0.02; done
kill -INT $pid; kill -INT $pid; wait $pid; code=$?
[ $code = 8 ] || { echo "exit code $code, want 8"; exit 1; }
`, "sh"}, args...)...))
}

// cmdNoCanary is `nocanary DIR`: no file below DIR holds the word canary, but
// this script's own environment.
func cmdNoCanary(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: nocanary DIR")
	}
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte("canary")) {
			return fmt.Errorf("%s holds a secret", path)
		}
		return err
	}))
}

// cmdPostgres is `postgres NAME`: a server for this script; the variable NAME is
// the address of an empty database there.
func cmdPostgres(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: postgres NAME")
	}
	server, err := pgtest.New()
	ts.Check(err)
	ts.Defer(server.Close)
	address, err := server.NewDatabase()
	ts.Check(err)
	ts.Setenv(args[0], address)
}

// cmdForeignLock is `foreignlock STATE PIPELINE ID`: a lock that a process on another host took.
func cmdForeignLock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: foreignlock STATE PIPELINE ID")
	}
	store, err := sqlite.Open(context.Background(), ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(store.Lock(context.Background(), args[1], runner.LockHolder{
		ID: args[2], Host: "elsewhere", PID: 7, User: "ann", Operation: "apply", Created: time.Now(),
	}))
	ts.Check(store.Close())
}

// cmdDamage is `damage ARCHIVE`: one byte of every file in its objects folders changes.
func cmdDamage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damage ARCHIVE")
	}
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "runs", "*", "objects", "*"))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("%s has no objects", args[0])
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		ts.Check(err)
		data[len(data)/2] ^= 1
		ts.Check(os.WriteFile(file, data, 0o644))
	}
}
