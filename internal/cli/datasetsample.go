package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/datasets/glyphs"
	"github.com/trainwright/trainwright/pipelines"
)

func newDatasetSampleCmd(a *app) *cobra.Command {
	c := describe(&cobra.Command{
		Use:   "sample",
		Short: "Make a sample dataset",
	}, "Makes a dataset to try things with; no download.")
	c.AddCommand(newSampleGlyphsCmd(a), newSampleShapesCmd(a))
	return c
}

func newSampleGlyphsCmd(a *app) *cobra.Command {
	var o glyphs.Options
	var force bool
	c := describe(&cobra.Command{
		Use:   "glyphs DIR",
		Short: "Images of characters in the Go fonts: size, rotation, blur, noise and background vary",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := a.path(args[0])
			for i, f := range o.Fonts {
				o.Fonts[i] = a.path(f)
			}
			if !force {
				if made, ok := readSampleMark(dir); ok && reflect.DeepEqual(made.Options, o) {
					return a.show(made, func(w io.Writer) { fmt.Fprintf(w, "%s holds these images already.\n", dir) })
				}
				if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
					return pipelines.Errorf(pipelines.CodeConflict, "%s is not empty; --force writes into it all the same", dir)
				} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
			n, err := glyphs.Write(c.Context(), dir, o)
			if err != nil {
				return err
			}
			made := sampleMark{Path: dir, Images: n, Options: o}
			if err := made.write(); err != nil {
				return err
			}
			return a.show(made, func(w io.Writer) {
				fmt.Fprintf(w, "Wrote %d images of %d classes into %s.\nNext:\n\n    runner new %s\n", n, o.Classes, dir, args[0])
			})
		},
	}, `
Draws characters in the Go fonts, and in any fonts given, as an image folder
with the splits train and val. The same options make the same images.`)
	f := c.Flags()
	f.IntVar(&o.Classes, "classes", 26, "characters: `N` classes")
	f.IntVar(&o.PerClass, "per-class", 100, "training images a class")
	f.IntVar(&o.ValPerClass, "val-per-class", 25, "validation images a class")
	f.IntVar(&o.ImageSize, "image-size", 32, "pixels a side")
	f.Uint64Var(&o.Seed, "seed", 0, "other seeds make other images")
	f.StringArrayVar(&o.Fonts, "font", nil, "draw with the TrueType or OpenType `FILE` too; may be repeated")
	f.BoolVar(&force, "force", false, "write into a folder that is not empty")
	return c
}

// sampleMark remembers in the folder how it was made, so that making it again
// is no error and no work.
type sampleMark struct {
	Path    string         `json:"path"`
	Images  int            `json:"images"`
	Options glyphs.Options `json:"options"`
}

const sampleMarkFile = ".glyphs.json"

func readSampleMark(dir string) (m sampleMark, ok bool) {
	text, err := os.ReadFile(filepath.Join(dir, sampleMarkFile))
	if err != nil || json.Unmarshal(text, &m) != nil {
		return m, false
	}
	m.Path = dir
	return m, true
}

func (m sampleMark) write() error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(m.Path, sampleMarkFile), append(text, '\n'), 0o644)
}
