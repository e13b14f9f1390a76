package zoo_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/zoo"
)

func build(t *testing.T, name string, size int, o zoo.Options) (*graph.Graph, zoo.Built) {
	t.Helper()
	g := graph.New(name)
	b, err := zoo.Build(g, name, g.Input("x", graph.Float32, 2, 3, size, size), o)
	if err != nil {
		t.Fatal(err)
	}
	return g, b
}

// testdata/timm/NAME.txt holds timm's names and shapes: see testdata/make_names.py.
func TestNamesAndShapesAreTimms(t *testing.T) {
	for _, m := range zoo.All {
		t.Run(m.Name, func(t *testing.T) {
			g, b := build(t, m.Name, m.DefaultImageSize, zoo.Options{NumClasses: 1000, Training: true})
			got := map[string]string{}
			count := 0
			for _, p := range b.Init {
				kind := "param"
				if p.Buffer {
					kind = "buffer"
				} else {
					count += p.Size()
				}
				got[p.Name] = fmt.Sprintf("%s %s %s", kind, p.Name, strings.Trim(strings.ReplaceAll(fmt.Sprint(p.Shape), " ", "x"), "[]"))
			}
			if count != m.Parameters {
				t.Errorf("%d parameters, the description says %d", count, m.Parameters)
			}
			if len(g.Params())+len(g.States()) != len(b.Init) {
				t.Error("Init does not list every parameter and buffer")
			}
			for _, c := range m.Classifier {
				if _, ok := got[c]; !ok {
					t.Errorf("the classifier %s is not a parameter", c)
				}
			}
			f, err := os.Open("testdata/timm/" + m.Name + ".txt")
			if errors.Is(err, fs.ErrNotExist) && m.Hub == "" {
				return // not a model of timm
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			n := 0
			for s := bufio.NewScanner(f); s.Scan(); {
				line := s.Text()
				if strings.HasPrefix(line, "#") {
					want := fmt.Sprintf("%d parameters, %s, mean %s std %s %s crop %v, %s", m.Parameters, m.Hub, tuple(m.Mean), tuple(m.Std), m.Interpolation, m.CropPct, m.License)
					if !strings.HasSuffix(line, want) {
						t.Errorf("timm has %q, the zoo %q", line, want)
					}
					continue
				}
				n++
				if name := strings.Fields(line)[1]; got[name] != line {
					t.Errorf("got %q, timm has %q", got[name], line)
				}
			}
			if n != len(got) {
				t.Errorf("%d tensors, timm has %d", len(got), n)
			}
		})
	}
}

func tuple(v [3]float32) string { return fmt.Sprintf("(%v, %v, %v)", v[0], v[1], v[2]) }

func TestBuildRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		model string
		shape []int
		o     zoo.Options
		want  string
	}{
		"unknown":      {"resnet19", []int{1, 3, 64, 64}, zoo.Options{NumClasses: 2}, "unknown model"},
		"not square":   {"resnet18", []int{1, 3, 64, 32}, zoo.Options{NumClasses: 2}, "square"},
		"gray":         {"resnet18", []int{1, 1, 64, 64}, zoo.Options{NumClasses: 2}, "[N, 3, S, S]"},
		"too small":    {"resnet18", []int{1, 3, 16, 16}, zoo.Options{NumClasses: 2}, "at least 32 px"},
		"not multiple": {"vit_tiny_patch16_224", []int{1, 3, 100, 100}, zoo.Options{NumClasses: 2}, "multiple of 16"},
		"no classes":   {"convnet", []int{1, 3, 32, 32}, zoo.Options{}, "at least one class"},
		"bn of one":    {"resnet18", []int{1, 3, 32, 32}, zoo.Options{NumClasses: 2, Training: true}, "more than one value"},
		"freeze typo":  {"convnet", []int{1, 3, 32, 32}, zoo.Options{NumClasses: 2, Freeze: []string{"layer9.*"}}, "matches none"},
		"freeze all":   {"convnet", []int{1, 3, 32, 32}, zoo.Options{NumClasses: 2, Freeze: []string{"*"}}, "no parameter to train"},
	} {
		g := graph.New("t")
		_, err := zoo.Build(g, c.model, g.Input("x", graph.Float32, c.shape...), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestFreeze(t *testing.T) {
	g, _ := build(t, "resnet18", 32, zoo.Options{NumClasses: 5, Training: true, Freeze: []string{"conv1.*", "bn1.*", "layer*"}})
	var names []string
	for _, p := range g.Trainable() {
		names = append(names, p.Name)
	}
	if !reflect.DeepEqual(names, []string{"fc.weight", "fc.bias"}) {
		t.Fatalf("trainable: %v", names)
	}
}
