// Package glyphs makes a real image classification dataset out of nothing but
// fonts: characters whose font, size, place, rotation, slant, colours,
// background, blur and noise vary. It serves the demo, tests and benchmarks.
package glyphs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/trainwright/trainwright/engine/rng"
)

// Options say what Write makes. The zero value of a field is its default.
type Options struct {
	Classes     int      // 2..MaxClasses; default 26
	PerClass    int      // training images a class; default 100
	ValPerClass int      // validation images a class; default 25
	ImageSize   int      // pixels, square, 16..512; default 32
	Seed        uint64   // other seeds give other images
	Fonts       []string // TrueType or OpenType files used beside the Go fonts
}

func (o Options) withDefaults() Options {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&o.Classes, 26)
	set(&o.PerClass, 100)
	set(&o.ValPerClass, 25)
	set(&o.ImageSize, 32)
	return o
}

func (o Options) validate() error {
	switch {
	case o.Classes < 2 || o.Classes > MaxClasses:
		return fmt.Errorf("glyphs: %d classes, wanted 2 to %d", o.Classes, MaxClasses)
	case o.PerClass < 1 || o.PerClass > 100_000 || o.ValPerClass < 1 || o.ValPerClass > 100_000:
		return fmt.Errorf("glyphs: %d training and %d validation images a class, wanted 1 to 100000 of each", o.PerClass, o.ValPerClass)
	case o.ImageSize < 16 || o.ImageSize > 512:
		return fmt.Errorf("glyphs: image size %d, wanted 16 to 512", o.ImageSize)
	}
	return nil
}

// picture is one image to be made.
type picture struct {
	split string
	class int
	n     int // within split and class
}

func (p picture) rel() string {
	return filepath.Join(p.split, classes[p.class].name, fmt.Sprintf("%05d.png", p.n))
}

// Write makes DIR/{train,val}/CLASS/NNNNN.png and returns how many images there
// are. Each image depends only on the seed, its split, class and number, the
// image size and the fonts. A file that already has its content is left as it
// is; anything else in train or val is an error, so that no old image stays
// among new ones.
func Write(ctx context.Context, dir string, options Options) (int, error) {
	o := options.withDefaults()
	if err := o.validate(); err != nil {
		return 0, err
	}
	fonts, err := loadFonts(o.Fonts, o.Classes)
	if err != nil {
		return 0, err
	}
	var all []picture
	for class := range o.Classes {
		for n := range o.PerClass {
			all = append(all, picture{"train", class, n})
		}
		for n := range o.ValPerClass {
			all = append(all, picture{"val", class, n})
		}
	}
	if err := prepare(dir, all); err != nil {
		return 0, err
	}
	g, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		g.Go(func() error {
			p := newPainter(o.ImageSize, fonts)
			for i := w; i < len(all); i += workers {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := p.write(dir, o.Seed, all[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return len(all), g.Wait()
}

func (p *painter) write(dir string, seed uint64, pic picture) error {
	random := rng.New(seed, "glyphs/"+pic.split, uint64(pic.class), uint64(pic.n))
	var b bytes.Buffer
	if err := p.png.Encode(&b, p.paint(classes[pic.class].char, random)); err != nil {
		return fmt.Errorf("glyphs: %w", err)
	}
	path := filepath.Join(dir, pic.rel())
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b.Bytes()) {
		return nil
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// prepare makes the folders and refuses files that do not belong.
func prepare(dir string, all []picture) error {
	wanted := map[string]bool{}
	for _, p := range all {
		path := filepath.Join(dir, p.rel())
		wanted[path] = true
		if p.n == 0 {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return fmt.Errorf("glyphs: %w", err)
			}
		}
	}
	for _, split := range []string{"train", "val"} {
		err := filepath.WalkDir(filepath.Join(dir, split), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !wanted[path] {
				return fmt.Errorf("%s is in the way; remove it, or write to an empty folder", path)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("glyphs: %w", err)
		}
	}
	return nil
}
