// Package arch holds the house's import table as a test: who may import whom.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/trainwright/trainwright/"

// rule says which packages of this module (by path prefix) a package may
// import. The longest matching prefix decides. std additionally forbids
// everything outside the standard library and the listed packages.
type rule struct {
	pkg   string
	allow []string
	std   bool
	why   string
}

// table is the agreed picture of docs/architecture.md, in its order.
var table = []rule{
	{pkg: "pipelines", allow: []string{"pipelines"}, std: true, why: "the nouns are plain data for everyone"},
	{pkg: "hclspec/schema", std: true, why: "schemas are plain data for adapters, forms and docs"},
	{pkg: "hclspec", allow: []string{"pipelines", "hclspec"}, why: "the language gets adapters through its Catalog"},
	{pkg: "datasets", allow: []string{"pipelines", "datasets", "engine/image", "engine/rng"}, why: "engine/image and engine/rng are leaves"},
	{pkg: "sdk/python", std: true, why: "the Python SDK, embedded"},
	{pkg: "adapters", allow: []string{"pipelines", "hclspec", "adapters", "sdk/python"}, why: "an adapter describes; it knows no runner"},
	{pkg: "adapters/native", allow: []string{"pipelines", "hclspec/schema", "adapters", "engine/zoo", "engine/optim"}, why: "the description never touches ONNX Runtime"},
	{pkg: "adapters/native/step", allow: []string{"pipelines", "hclspec/schema", "adapters", "engine"}, why: "the native step's process"},
	{pkg: "runner", allow: []string{"pipelines", "adapters", "hclspec/schema"}, why: "everything else reaches the engine room through deps.go"},
	{pkg: "runner/mirror", allow: []string{"pipelines"}, why: "executors make a run's folder like another's with it, also in containers"},
	{pkg: "runner/driver", allow: []string{"pipelines", "runner", "adapters"}, why: "what executors share that have attempts followed by a process of this machine"},
	{pkg: "runner/executor", allow: []string{"pipelines", "runner", "adapters"}, why: "executors never know each other"},
	{pkg: "runner/store", allow: []string{"pipelines", "runner", "runner/store"}, why: "stores know pipelines and their own SDK"},
	{pkg: "runner/blob", allow: []string{"pipelines", "runner", "runner/blob/blobtest"}, why: "a store of blobs knows its own SDK"},
	{pkg: "engine", allow: []string{"engine"}, why: "native training knows nothing of HCL, pipelines or runner"},
	{pkg: "engine/image", std: true, allow: []string{}, why: "a leaf"},
	{pkg: "engine/rng", std: true, why: "a leaf"},
	{pkg: "web", allow: []string{"pipelines", "hclspec", "runner", "adapters", "web"}, why: "all HTTP, nothing of the engine"},
	{pkg: "cmd/runner", allow: []string{"internal/cli"}, why: "main is one call"},
}

// ortOnly is the only package that may use cgo for ONNX Runtime.
const ortOnly = "engine/ort"

type goPackage struct {
	ImportPath string
	Imports    []string
	CgoFiles   []string
	Standard   bool
}

func list(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,CgoFiles", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var pkgs []goPackage
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func within(pkg, prefix string) bool { return pkg == prefix || strings.HasPrefix(pkg, prefix+"/") }

func ruleFor(pkg string) (rule, bool) {
	var best rule
	found := false
	for _, r := range table {
		if within(pkg, r.pkg) && (!found || len(r.pkg) > len(best.pkg)) {
			best, found = r, true
		}
	}
	return best, found
}

func allowed(r rule, pkg, imp string) bool {
	if within(imp, pkg) {
		return true // its own sub-packages
	}
	// executors and stores may use the suite and the list of their own kind
	for _, a := range r.allow {
		if within(imp, a) {
			return true
		}
	}
	return false
}

// TestImports checks every package's imports against the table.
func TestImports(t *testing.T) {
	pkgs := list(t)
	if len(pkgs) < 5 {
		t.Fatalf("only %d packages listed", len(pkgs))
	}
	for _, p := range pkgs {
		pkg := strings.TrimPrefix(p.ImportPath, module)
		r, ok := ruleFor(pkg)
		if !ok {
			continue
		}
		for _, imp := range p.Imports {
			if in, ours := strings.CutPrefix(imp, module); ours {
				if !allowed(r, pkg, in) {
					t.Errorf("%s imports %s; it may import %s (%s)", pkg, in, strings.Join(r.allow, ", "), r.why)
				}
				continue
			}
			if r.std && strings.Contains(strings.Split(imp, "/")[0], ".") && !strings.HasPrefix(imp, "golang.org/x/") {
				t.Errorf("%s imports %s; it may import the standard library only (%s)", pkg, imp, r.why)
			}
		}
	}
}

// TestExecutorsApart checks that no executor, store or blob imports a sibling.
func TestExecutorsApart(t *testing.T) {
	for _, p := range list(t) {
		pkg := strings.TrimPrefix(p.ImportPath, module)
		for _, room := range []string{"runner/executor/", "runner/blob/"} {
			rest, ok := strings.CutPrefix(pkg, room)
			if !ok {
				continue
			}
			self := strings.Split(rest, "/")[0]
			for _, imp := range p.Imports {
				sib, ok := strings.CutPrefix(imp, module+room)
				if ok && strings.Split(sib, "/")[0] != self && !strings.HasSuffix(sib, "test") {
					t.Errorf("%s imports its sibling %s", pkg, sib)
				}
			}
		}
	}
}

// TestCgoInOnePlace checks that only engine/ort has C code of ours.
func TestCgoInOnePlace(t *testing.T) {
	for _, p := range list(t) {
		pkg := strings.TrimPrefix(p.ImportPath, module)
		if len(p.CgoFiles) > 0 && pkg != ortOnly {
			t.Errorf("%s has cgo files %v; only %s may", pkg, p.CgoFiles, ortOnly)
		}
	}
}
