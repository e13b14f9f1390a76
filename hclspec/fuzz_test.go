package hclspec_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/hclspec/hostile"
	"github.com/trainwright/trainwright/pipelines"
)

// seeds are the fixtures and the smaller hostile texts.
func seeds(f *testing.F) {
	for _, pattern := range []string{"testdata/valid/*.hcl", "testdata/invalid/*.hcl", "../examples/*/*.hcl"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	for name, text := range hostile.Texts {
		if len(text) < 2_000 && !strings.Contains(name, "for") && !strings.Contains(name, "loop") { // loops slow fuzzing down
			f.Add([]byte(text))
		}
	}
}

// survives checks what must hold for any text.
func survives(t *testing.T, text []byte, opts hclspec.Options) {
	opts.Sources = []pipelines.Source{{Filename: "main.hcl", Text: text}}
	p, files, diags := hclspec.Load(t.Context(), ".", opts)
	var out bytes.Buffer
	hclspec.WriteText(&out, files, diags, hclspec.TextOptions{Color: true})
	if err := hclspec.WriteJSON(&out, files, diags); err != nil {
		t.Fatal(err)
	}
	for _, d := range diags {
		if strings.HasPrefix(d.Summary, "Internal") {
			t.Fatalf("%s\n%s", d.Detail, text)
		}
		if d.Summary == "" || d.Detail == "" {
			t.Fatalf("a diagnostic says nothing: %+v\n%s", d, text)
		}
	}
	if diags.HasErrors() {
		return
	}
	for _, s := range p.Steps {
		if _, err := s.Resolve(nil); err != nil {
			t.Fatalf("%s loads and does not resolve: %v\n%s", s.Address, err, text)
		}
	}
}

// TestMutations does a little of what FuzzValidate does, in every test run:
// fixtures with pieces changed, cut out and pasted in from one another.
func TestMutations(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*/*.hcl")
	var all [][]byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		text := bytes.Clone(all[random.IntN(len(all))])
		for range 1 + random.IntN(4) {
			if len(text) == 0 {
				break
			}
			i := random.IntN(len(text))
			other := all[random.IntN(len(all))]
			j := random.IntN(len(other))
			switch random.IntN(3) {
			case 0:
				const letters = "{}[]()\"$%=.,!?:\n 1ex"
				text[i] = letters[random.IntN(len(letters))]
			case 1:
				text = slices.Delete(text, i, min(len(text), i+random.IntN(30)))
			case 2:
				text = slices.Insert(text, i, other[j:min(len(other), j+random.IntN(60))]...)
			}
		}
		survives(t, text, validateOptions())
	}
}

// FuzzValidate: no text makes Load panic, whatever it holds; a pipeline
// without errors resolves every step.
func FuzzValidate(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		survives(t, text, validateOptions())
		survives(t, text, planOptions())
	})
}

// FuzzParse: what the guard lets through, the parser survives.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _, _ = hclspec.Load(t.Context(), ".", hclspec.Options{Sources: []pipelines.Source{{Filename: "main.hcl", Text: text}}})
	})
}

// FuzzFormat: formatting twice changes nothing more, and never the tokens.
func FuzzFormat(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		once, diags := hclspec.Format(text, "main.hcl")
		if diags.HasErrors() {
			if !bytes.Equal(once, text) {
				t.Fatal("refused text was changed")
			}
			return
		}
		twice, diags := hclspec.Format(once, "main.hcl")
		if diags.HasErrors() {
			t.Fatalf("the result is refused: %v\n%q", diags, once)
		}
		if !bytes.Equal(once, twice) {
			t.Fatalf("not idempotent:\n%q\n%q\n%q", text, once, twice)
		}
		if a, b := tokens(text), tokens(once); a != b {
			t.Fatalf("tokens changed:\n%s\n%s", a, b)
		}
	})
}

func tokens(text []byte) string {
	all, _ := hclsyntax.LexConfig(text, "main.hcl", struct{ Line, Column, Byte int }{1, 1, 0})
	var b strings.Builder
	for _, t := range all {
		if t.Type == hclsyntax.TokenNewline || t.Type == hclsyntax.TokenEOF {
			continue
		}
		b.WriteString(strings.TrimSpace(string(t.Bytes)))
		b.WriteByte(' ')
	}
	return b.String()
}
