package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/datasets"
	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
)

func newNewCmd(a *app) *cobra.Command {
	var out, name string
	var force bool
	c := describe(&cobra.Command{
		Use:   "new DATASET",
		Short: "Look at a dataset folder and write a working pipeline for it",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.writeNew(c.Context(), args[0], out, name, force)
		},
	}, `
Looks at a folder of images (classes, counts, sizes), chooses a model, image
size, epochs and batch size that suit it, and writes main.hcl. The file is
checked like any other, and says why each value was chosen.`)
	c.Flags().StringVar(&out, "out", ".", "write main.hcl into `FOLDER`")
	c.Flags().StringVar(&name, "name", "", "the pipeline's `NAME` (default: the dataset folder's)")
	c.Flags().BoolVar(&force, "force", false, "replace a main.hcl that is there")
	return c
}

func (a *app) writeNew(ctx context.Context, data, out, name string, force bool) error {
	root, err := a.absPath(data)
	if err != nil {
		return err
	}
	spec, err := datasets.Detect(root)
	if err != nil {
		return err
	}
	if name == "" {
		name = filepath.Base(root)
	}
	name = identifier(name)
	spec.Name = name
	r, err := newDatasets().Inspect(ctx, spec)
	if err != nil {
		return err
	}
	target := filepath.Join(a.path(out), "main.hcl")
	if _, err := os.Lstat(target); err == nil && !force {
		return pipelines.Errorf(pipelines.CodeConflict, "%s is there already; --force replaces it, --out writes elsewhere", target)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := newPipeline(name, pathFrom(a.path(out), root), spec, r, suit(r))
	text, diags := hclspec.Format(text, target)
	if diags.HasErrors() {
		return diags
	}
	if err := a.checkNew(ctx, target, text); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(target, text, 0o644); err != nil {
		return err
	}
	return a.show(map[string]any{"path": target, "pipeline": name, "dataset": r}, func(w io.Writer) {
		fmt.Fprintf(w, "Wrote %s: %d images in %d classes.\nNext:\n\n    runner plan %s\n    runner apply %s\n", target, r.Images, len(r.Classes), out, out)
	})
}

// checkNew makes sure that what is written is valid before it is written.
func (a *app) checkNew(ctx context.Context, target string, text []byte) error {
	opts := a.options(pipelineFlags{})
	opts.Validate = true
	opts.Sources = []pipelines.Source{{Filename: "main.hcl", Text: text}}
	_, _, err := a.load(ctx, filepath.Dir(target), opts)
	return err
}

// choice is what suits a dataset.
type choice struct {
	model     string
	imageSize int
	epochs    int
	batchSize int
	preset    string
	why       string
}

// suit picks by the size of images and how many there are: small images train
// a small network from nothing; large ones need a residual network. About
// 10,000 steps' worth of images are enough for a first look on a processor.
func suit(r pipelines.DatasetReport) choice {
	train := 0
	for _, n := range r.Counts["train"] {
		train += n
	}
	c := choice{preset: "standard"}
	switch side := max(r.MaxSize[0], r.MaxSize[1]); {
	case side <= 48:
		c.model, c.imageSize, c.why = "convnet", 32, "images of up to 48 pixels: a small network trains in minutes"
	case side <= 96:
		c.model, c.imageSize, c.why = "convnet", 64, "images of up to 96 pixels: a small network trains in minutes"
	default:
		c.model, c.imageSize, c.why = "resnet18", 224, "a strong baseline for photographs"
	}
	c.batchSize = 64
	for c.batchSize > 8 && train/c.batchSize < 10 {
		c.batchSize /= 2
	}
	c.epochs = int(math.Round(60000 / math.Max(1, float64(train))))
	c.epochs = min(max(c.epochs, 5), 50)
	return c
}

var notIdentifier = regexp.MustCompile(`[^a-z0-9_]+`)

// identifier makes a name that HCL takes without quotes.
func identifier(s string) string {
	s = strings.Trim(notIdentifier.ReplaceAllString(strings.ToLower(s), "_"), "_")
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		s = "images_" + s
	}
	return strings.Trim(s, "_")
}

// pathFrom writes root relative to dir where that is short, else absolute.
func pathFrom(dir, root string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return root
	}
	rel, err := filepath.Rel(abs, root)
	if err != nil || strings.Count(rel, "..") > 3 {
		return root
	}
	return filepath.ToSlash(rel)
}

func newPipeline(name, path string, spec pipelines.DatasetSpec, r pipelines.DatasetReport, c choice) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Written by runner new from %d images in %d classes, %d x %d to %d x %d pixels.", r.Images, len(r.Classes), r.MinSize[0], r.MinSize[1], r.MaxSize[0], r.MaxSize[1])
	p("pipeline %s {", hclString(name))
	p("  description = %s", hclString(fmt.Sprintf("Classifier of %d classes", len(r.Classes))))
	p("}\n")
	p("variable \"epochs\" {\n  type = number\n  default = %d\n}\n", c.epochs)
	p("dataset %s {", hclString(name))
	p("  format = %s\n  path = %s", hclString(spec.Format), hclString(path))
	if s := spec.Split; s != nil {
		p("\n  split { # the folder is flat; this divides it, the same way every time")
		p("    train = %g\n    val = %g\n    seed = %d\n    stratify = %t\n  }", s.Train, s.Val, s.Seed, s.Stratify)
	}
	if len(r.Corrupt) > 0 || len(r.Leaks) > 0 {
		p("\n  checks {")
		if n := len(r.Corrupt); n > 0 {
			p("    max_corrupt = %d # as found; see: runner dataset inspect", n)
		}
		if n := len(r.Leaks); n > 0 {
			p("    leakage = \"warn\" # %d images stand in two splits: the metrics flatter until they are removed", n)
		}
		p("  }")
	}
	p("}\n")
	p("model \"net\" {\n  adapter = \"native\"\n  name = %s # %s\n  task = \"image_classification\"\n  image_size = %d\n}\n", hclString(c.model), c.why, c.imageSize)
	p("train \"first\" {\n  model = model.net\n  dataset = dataset.%s\n  epochs = var.epochs\n  batch_size = %d\n  seed = 1\n  preset = %s # with flips; \"basic\" where left and right differ, as in text\n}\n", name, c.batchSize, hclString(c.preset))
	p("output \"accuracy\" {\n  value = train.first.metrics.accuracy\n}\n")
	p("output \"model\" {\n  description = \"The checkpoint to deploy\"\n  value = train.first.best.path\n}")
	return b.Bytes()
}

// hclString quotes a string as HCL reads it back.
func hclString(s string) string {
	r := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "${", "$${", "%{", "%%{")
	return `"` + r.Replace(s) + `"`
}
