package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/datasets/shapes"
	"github.com/trainwright/trainwright/pipelines"
)

func newSampleShapesCmd(a *app) *cobra.Command {
	var o shapes.Options
	c := describe(&cobra.Command{
		Use:   "shapes DIR",
		Short: "Images of coloured shapes with boxes and outlines or keypoints, for detection",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := a.path(args[0])
			if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
				return pipelines.Errorf(pipelines.CodeConflict, "%s is not empty; choose another folder", dir)
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			images, boxes, err := shapes.Write(c.Context(), dir, o)
			if err != nil {
				return err
			}
			made := map[string]any{"path": dir, "format": o.WithDefaults().Format, "images": images, "boxes": boxes}
			return a.show(made, func(w io.Writer) {
				fmt.Fprintf(w, "Wrote %d images with %d boxes into %s as %s.\n", images, boxes, dir, made["format"])
			})
		},
	}, `
Draws circles, squares and triangles on noisy grounds, with the splits train and
val and labels in the style that is asked for. The same options make the same
images and boxes.`)
	f := c.Flags()
	f.StringVar(&o.Format, "format", "coco", "write labels as `FORMAT`: coco, yolo or voc")
	f.IntVar(&o.Train, "train", 200, "training images")
	f.IntVar(&o.Val, "val", 50, "validation images")
	f.IntVar(&o.ImageSize, "image-size", 128, "pixels a side")
	f.IntVar(&o.Most, "most", 4, "shapes an image, at most")
	f.BoolVar(&o.Keypoints, "keypoints", false, "four points of each shape in place of its outline, for pose estimation; coco or yolo")
	f.Uint64Var(&o.Seed, "seed", 0, "other seeds make other images")
	return c
}
