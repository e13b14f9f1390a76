package crash

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// images writes n images a class and split, of which no two are equal.
func (l *lab) images(size, train, val int, classes ...string) {
	l.t.Helper()
	for split, n := range map[string]int{"train": train, "val": val} {
		for c, class := range classes {
			dir := filepath.Join(l.dir, "data", split, class)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				l.t.Fatal(err)
			}
			for i := range n {
				r := rand.New(rand.NewPCG(uint64(c), uint64(100*i+len(split))))
				img := image.NewRGBA(image.Rect(0, 0, size, size))
				for p := range size * size {
					v := uint8(r.IntN(100))
					img.Set(p%size, p/size, color.RGBA{v + uint8(150*c), v, 155 - v, 255})
				}
				var b bytes.Buffer
				if err := png.Encode(&b, img); err != nil {
					l.t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.png", i)), b.Bytes(), 0o600); err != nil {
					l.t.Fatal(err)
				}
			}
		}
	}
}
