package hclspec

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/trainwright/trainwright/pipelines"
)

// Files holds the source texts by the file name that ranges carry, for
// snippets. hcl.NewDiagnosticTextWriter takes it as it is.
type Files map[string]*hcl.File

// sources is what is to be parsed.
type sources struct {
	dir   string             // folder of the pipeline, as given
	files []pipelines.Source // names as ranges carry them
	vars  []pipelines.Source // *.vars.hcl that load by themselves, in order
}

// isSource tells pipeline files from what else lies in a folder: variables
// files, tests, lock files, editors' leftovers.
func isSource(name string) bool {
	return strings.HasSuffix(name, ".hcl") && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "#") &&
		!strings.HasSuffix(name, ".vars.hcl") && !strings.HasSuffix(name, ".rtest.hcl")
}

// isAutoVars reports that a variables file loads by itself.
func isAutoVars(name string) bool {
	return name == "runner.vars.hcl" || strings.HasSuffix(name, ".auto.vars.hcl") && !strings.HasPrefix(name, ".")
}

// Belongs reports that a file of a pipeline's folder is read with it.
func Belongs(name string) bool { return isSource(name) || isAutoVars(name) }

// readSources reads the file, or all pipeline files of the folder, at path.
func readSources(path string, opts Options) (sources, hcl.Diagnostics) {
	switch {
	case opts.Sources != nil:
		return givenSources(path, opts.Sources), nil
	case opts.Open != nil:
		return openSources(path, opts.Open)
	}
	info, err := os.Stat(path)
	if err != nil {
		return sources{}, hcl.Diagnostics{unreadable(path, err)}
	}
	if !info.IsDir() {
		text, err := readFile(path)
		if err != nil {
			return sources{}, hcl.Diagnostics{unreadable(path, err)}
		}
		name := filepath.Clean(path)
		return sources{dir: filepath.Dir(path), files: []pipelines.Source{{Filename: name, Text: text}}}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return sources{}, hcl.Diagnostics{unreadable(path, err)}
	}
	out, diags := sources{dir: path}, hcl.Diagnostics(nil)
	for _, e := range entries {
		if !isSource(e.Name()) && !isAutoVars(e.Name()) {
			continue
		}
		name := filepath.Join(path, e.Name())
		text, err := readFile(name)
		switch {
		case err != nil:
			diags = append(diags, unreadable(name, err))
		case isAutoVars(e.Name()):
			out.vars = append(out.vars, pipelines.Source{Filename: name, Text: text})
		default:
			out.files = append(out.files, pipelines.Source{Filename: name, Text: text})
		}
	}
	slices.SortStableFunc(out.vars, func(a, b pipelines.Source) int { return cmp.Compare(autoRank(a), autoRank(b)) })
	if len(out.files) == 0 && !diags.HasErrors() {
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "No pipeline files",
			Detail: fmt.Sprintf("The folder %s holds no *.hcl files. Name a folder or file that does, or write a first pipeline with: runner new", path)})
	}
	return out, diags
}

// openSources are those of a folder, with the texts that an editor holds in
// place of the files'. Such a text may have no file yet.
func openSources(dir string, open map[string][]byte) (sources, hcl.Diagnostics) {
	out := sources{dir: dir}
	var diags hcl.Diagnostics
	names := map[string]bool{}
	entries, _ := os.ReadDir(dir) // it may not be there yet
	for _, e := range entries {
		names[filepath.Join(dir, e.Name())] = Belongs(e.Name())
	}
	for name := range open {
		if filepath.Dir(name) == dir {
			names[name] = Belongs(filepath.Base(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !names[name] {
			continue
		}
		text, held := open[name]
		if !held {
			var err error
			if text, err = readFile(name); err != nil {
				diags = append(diags, unreadable(name, err))
				continue
			}
		}
		if s := (pipelines.Source{Filename: name, Text: text}); isAutoVars(filepath.Base(name)) {
			out.vars = append(out.vars, s)
		} else {
			out.files = append(out.files, s)
		}
	}
	slices.SortStableFunc(out.vars, func(a, b pipelines.Source) int { return cmp.Compare(autoRank(a), autoRank(b)) })
	return out, diags
}

// autoRank puts runner.vars.hcl before *.auto.vars.hcl.
func autoRank(s pipelines.Source) int {
	if filepath.Base(s.Filename) == "runner.vars.hcl" {
		return 0
	}
	return 1
}

func givenSources(path string, given []pipelines.Source) sources {
	out := sources{dir: path}
	for _, s := range given {
		s.Filename = filepath.Join(path, s.Filename)
		if isAutoVars(filepath.Base(s.Filename)) {
			out.vars = append(out.vars, s)
		} else {
			out.files = append(out.files, s)
		}
	}
	return out
}

// readFile reads a regular file of at most maxSource bytes.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening: a pipe would block
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSource+1))
}

func unreadable(path string, err error) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Cannot read pipeline files",
		Detail: fmt.Sprintf("Reading %s: %s. Check the path and its permissions.", path, err)}
}

// parse guards and parses one source. The file is returned even when it is
// refused, so that diagnostics can show it.
func parse(src pipelines.Source) (*hcl.File, hcl.Diagnostics) {
	if diags := guard(src.Text, src.Filename); diags.HasErrors() {
		return &hcl.File{Bytes: src.Text, Body: &hclsyntax.Body{}}, diags
	}
	watching(hcl.Range{Filename: src.Filename, Start: hcl.InitialPos, End: hcl.InitialPos})
	defer watching(hcl.Range{})
	file, diags := hclsyntax.ParseConfig(src.Text, src.Filename, hcl.InitialPos)
	if file == nil {
		file = &hcl.File{Bytes: src.Text, Body: &hclsyntax.Body{}}
	}
	return file, diags
}
