package cli_test

import (
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptCommands are the scripts' own commands.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"images":  cmdImages,
	"waitfor": cmdWaitFor,
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
