package adapters

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	data   = flag.String("data", "", "an imagefolder of 32 px images with train/ and val/, or a .tar.gz of one, to compare accuracies on")
	seeds  = flag.String("seeds", "1", "with -data: seeds, separated by commas")
	epochs = flag.Int("epochs", 8, "with -data")
	rate   = flag.Float64("lr", 0.02, "with -data: learning rate")
	ema    = flag.Float64("ema", 0, "with -data: decay of the weights' moving average")
)

// limit is how far accuracies may be apart, in points.
const limit = 2

// TestPythonAndNative trains a few letters: training takes the same course, and
// the API's answers and the reports of both adapters are of the same form.
func TestPythonAndNative(t *testing.T) {
	l := newLab(t)
	l.run("dataset", "sample", "glyphs", filepath.Join(l.dir, "letters"), "--classes", "3", "--per-class", "43", "--val-per-class", "20")
	vars := map[string]any{"data": filepath.Join(l.dir, "letters"), "weights": l.weights(3, 1), "epochs": 2, "learning_rate": 0.02, "seed": 1, "ema_decay": 0.5}
	a, b := l.train("native", vars), l.train("timm", vars)
	a.serve()
	b.serve()
	sameReports(t, a.report(), b.report(), sameAnswers(t, a, b))
	sameCourse(t, a, b)
	if x, y := a.output("last"), b.output("last"); math.Abs(x-y) > limit {
		t.Errorf("accuracy is %.2f %% and %.2f %%", x, y)
	}
}

// TestAccuracy compares accuracies on real images; make bench-adapters runs it.
func TestAccuracy(t *testing.T) {
	if *data == "" {
		t.Skip("-data names no images")
	}
	l := newLab(t)
	path, err := filepath.Abs(*data)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, ".tar.gz") {
		folder := filepath.Join(l.dir, "data")
		if out, err := exec.Command("sh", "-c", `mkdir "$1" && tar -xzf "$2" -C "$1" --strip-components=1`, "sh", folder, path).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		path = folder
	}
	classes, err := filepath.Glob(filepath.Join(path, "train", "*"))
	if err != nil || len(classes) < 2 {
		t.Fatalf("%s has no train/ with two classes (%v)", path, err)
	}
	fmt.Printf("resnet18, 32 px, batch 64, sgd, lr %v, cosine, ema %v, %d epochs; last epoch's val accuracy in %%\nseed   native     timm   difference (limit %d)\n", *rate, *ema, *epochs, limit)
	var sum, n float64
	for text := range strings.SplitSeq(*seeds, ",") {
		seed, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		vars := map[string]any{"data": path, "weights": l.weights(len(classes), seed), "epochs": *epochs, "learning_rate": *rate, "ema_decay": *ema, "seed": seed}
		a, b := l.train("native", vars), l.train("timm", vars)
		x, y := a.output("last"), b.output("last")
		fmt.Printf("%4d   %6.2f   %6.2f   %+.2f\n", seed, x, y, x-y)
		sum, n = sum+x-y, n+1
		a.serve()
		b.serve()
		sameReports(t, a.report(), b.report(), sameAnswers(t, a, b))
	}
	if math.Abs(sum/n) > limit {
		t.Errorf("native and timm are %+.2f points apart on average, more than %d", sum/n, limit)
	}
}

// output is an output of the pipeline, in percent.
func (p *place) output(name string) float64 {
	p.lab.t.Helper()
	out, err := p.lab.command("--chdir="+p.dir, "output", "--raw", name).Output()
	if err != nil {
		p.lab.t.Fatal(err)
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		p.lab.t.Fatal(err)
	}
	return 100 * v
}

// sameCourse: from the same weights, in the same order and with the same
// pixels, losses agree but for rounding.
func sameCourse(t *testing.T, a, b *place) {
	t.Helper()
	of := func(p *place) map[string][]float64 {
		var answer struct {
			Series []struct {
				Name, Split string
				Points      []struct{ Value json.Number }
			}
		}
		out := map[string][]float64{}
		runs := p.runs()
		p.json("/api/v1/runs/"+runs[len(runs)-1]+"/metrics?name=loss", &answer)
		for _, s := range answer.Series {
			for _, point := range s.Points {
				v, err := point.Value.Float64()
				if err != nil {
					t.Fatal(err)
				}
				out[s.Split] = append(out[s.Split], v)
			}
		}
		return out
	}
	x, y := of(a), of(b)
	if len(x["train"]) != 2 || len(x["val"]) != 2 {
		t.Fatalf("losses %v", x)
	}
	for split, losses := range x {
		for i, loss := range losses {
			if other := y[split][i]; math.Abs(loss-other) > 1e-3*math.Abs(loss) {
				t.Errorf("the %s loss of epoch %d is %v and %v", split, i+1, loss, other)
			}
		}
	}
}

// report is the training's report.html.
func (p *place) report() string {
	p.lab.t.Helper()
	runs := p.runs()
	text, err := os.ReadFile(filepath.Join(p.dir, ".runner", "runs", runs[len(runs)-1], "report.html"))
	if err != nil {
		p.lab.t.Fatal(err)
	}
	return string(text)
}

var (
	// What gives a report its form: headings, names of tiles, curves and columns, settings, rows of facts.
	reportPart = regexp.MustCompile(`(?s)<h[1-3][^>]*>(.*?)</h[1-3]>|<div class="tile"><span>(.*?)</span>|<figcaption>(.*?)</figcaption>|<th[^>]*>(.*?)</th>|<tr[^>]*><td[^>]*><code>(.*?)</code>|<p class="warning">(.*?)</p>`)
	reportTag  = regexp.MustCompile(`<[^>]*>`)
	number     = regexp.MustCompile(`-?\d[\d.]*(e-?\d+)?( %)?`)
	// The environment's rows: other libraries decide the last bits of results.
	environment = []string{"isa", "kernels", "onnxruntime", "optimization", "platform", "provider", "threads",
		"numpy", "platform_sdk", "python", "timm", "torch", "torchvision"}
)

// outline is what a report consists of, without its numbers and the settings of without.
func outline(html string, without []string) []string {
	var out []string
	for _, m := range reportPart.FindAllStringSubmatch(html, -1) {
		part := strings.TrimSpace(number.ReplaceAllString(reportTag.ReplaceAllString(strings.Join(m[1:], ""), " "), "#"))
		if title, _, ok := strings.Cut(part, "Precision over recall"); ok {
			part = title + "Precision over recall" // of the classes that are hardest, which is measured
		}
		if !slices.Contains(environment, part) && !slices.Contains(without, part) {
			out = append(out, part)
		}
	}
	return out
}

// sameReports compares the reports of two trainings, of which the second's
// adapter has more settings.
func sameReports(t *testing.T, a, b string, more []string) {
	t.Helper()
	x, y := outline(a, nil), outline(b, more)
	if len(x) < 15 {
		t.Errorf("the report consists of %q only", x)
	}
	if !slices.Equal(x, y) {
		count := map[string]int{}
		for _, part := range x {
			count[part]++
		}
		for _, part := range y {
			count[part]--
		}
		maps.DeleteFunc(count, func(_ string, n int) bool { return n == 0 })
		t.Errorf("the reports differ: %v (more often in the first, negative: in the second)\n%q\n%q", count, x, y)
	}
}
