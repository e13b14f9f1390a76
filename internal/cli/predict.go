package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/engine/train"
	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/pipelines"
)

// predictReport is `runner predict --json`.
type predictReport struct {
	Model       string           `json:"model"` // path
	Name        string           `json:"name"`
	Classes     int              `json:"classes"`
	Predictions []predictedImage `json:"predictions"`
}

type predictedImage struct {
	Path    string           `json:"path"`
	Class   string           `json:"class,omitempty"`
	Score   float64          `json:"confidence,omitempty"`
	Classes []predictedClass `json:"classes,omitempty"` // most probable first
	Error   string           `json:"error,omitempty"`
}

type predictedClass struct {
	Class      string  `json:"class"`
	Confidence float64 `json:"confidence"`
}

type predictFlags struct {
	storeFlags
	dir   string
	top   int
	batch int
}

func newPredictCmd(a *app) *cobra.Command {
	var f predictFlags
	c := describe(&cobra.Command{
		Use:   "predict MODEL IMAGE...",
		Short: "Classify images with a trained model",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return a.predict(c.Context(), f, args[0], args[1:])
		},
	}, `
Classifies image files (or all images of a folder) and writes the classes with
their confidence. MODEL is a model.onnx, a checkpoint's folder, or a run: its
id, its job number, or the address of a train or export step (its newest run).
An image that cannot be read does not stop the others.`)
	f.register(c)
	c.Flags().StringVar(&f.dir, "dir", ".", "the pipeline's `FOLDER`, where MODEL is a run")
	c.Flags().IntVar(&f.top, "top", 3, "show the `N` most probable classes")
	c.Flags().IntVar(&f.batch, "batch-size", 0, "classify `N` images at once")
	return c
}

func (a *app) predict(ctx context.Context, f predictFlags, name string, args []string) error {
	model, err := a.modelPath(ctx, f, name)
	if err != nil {
		return err
	}
	images, err := a.imageFiles(args)
	if err != nil {
		return err
	}
	predictions, info, err := train.Predict(ctx, model, images, f.top, train.ModelOptions{BatchSize: f.batch})
	if err != nil {
		return err
	}
	r := predictReport{Model: model, Name: info.Name, Classes: len(info.Classes)}
	failed := 0
	for _, p := range predictions {
		out := predictedImage{Path: p.Path}
		if p.Err != nil {
			out.Error = p.Err.Error()
			failed++
		}
		for _, c := range p.Classes {
			out.Classes = append(out.Classes, predictedClass{c.Class, c.Probability})
		}
		if len(out.Classes) > 0 {
			out.Class, out.Score = out.Classes[0].Class, out.Classes[0].Confidence
		}
		r.Predictions = append(r.Predictions, out)
	}
	if err := a.show(r, func(w io.Writer) { writePredictions(w, a.style(a.Stdout), r) }); err != nil {
		return err
	}
	if failed > 0 {
		return exitStatus(exitError)
	}
	return nil
}

// stepAddress tells an address (export.onnx) from a file of that name.
var stepAddress = regexp.MustCompile(`^(train|evaluate|export|step)\.[^/]+$|\["`)

// modelPath finds the model: a path, or what a run left.
func (a *app) modelPath(ctx context.Context, f predictFlags, name string) (string, error) {
	path := a.path(name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", usagef("%w", err)
	}
	if !stepAddress.MatchString(name) && (strings.HasSuffix(name, ".onnx") || strings.ContainsRune(name, filepath.Separator)) {
		return "", pipelines.Errorf(pipelines.CodeNotFound, "there is no model at %s", path)
	}
	store, _, run, err := a.openRun(ctx, f.dir, name, f.storeFlags)
	if err != nil {
		return "", err
	}
	defer store.Close()
	if r := run.Result; r != nil {
		for _, file := range sortedKeys(r.Artifacts) {
			if strings.HasSuffix(r.Artifacts[file].Path, ".onnx") {
				return r.Artifacts[file].Path, nil
			}
		}
		if r.Best != nil {
			return r.Best.Path, nil
		}
	}
	saved, err := store.Checkpoints(ctx, run.ID)
	if err != nil {
		return "", err
	}
	for _, c := range saved {
		if c.Name == "best" {
			return c.Path, nil
		}
	}
	return "", pipelines.Errorf(pipelines.CodeNotFound, "run %s of %s (%s) has left no model", run.ID, run.Address, run.Status)
}

var imageExtensions = []string{".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"}

// imageFiles are the files named, and the images of folders named.
func (a *app) imageFiles(args []string) ([]string, error) {
	var images []string
	for _, arg := range args {
		path := a.path(arg)
		info, err := os.Stat(path)
		if err != nil || !info.IsDir() {
			images = append(images, path) // a missing one is told beside its name
			continue
		}
		before := len(images)
		err = filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() && slices.Contains(imageExtensions, strings.ToLower(filepath.Ext(name))) {
				images = append(images, name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(images) == before {
			return nil, usagef("the folder %s holds no images (%s)", path, strings.Join(imageExtensions, " "))
		}
	}
	return images, nil
}

func writePredictions(w io.Writer, st view.Style, r predictReport) {
	rows := [][]string{{"IMAGE", "CLASS", "CONFIDENCE", "ALSO"}}
	for _, p := range r.Predictions {
		if p.Error != "" {
			rows = append(rows, []string{p.Path, "-", "-", "cannot be used: " + p.Error})
			continue
		}
		var also []string
		for _, c := range p.Classes[1:] {
			also = append(also, fmt.Sprintf("%s %.1f%%", c.Class, 100*c.Confidence))
		}
		rows = append(rows, []string{p.Path, p.Class, fmt.Sprintf("%.1f%%", 100*p.Score), strings.Join(also, ", ")})
	}
	view.Table(w, st, "", rows)
}
