package cli

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/pipelines"
)

// The adapter that `adapters new` writes. Its Python ends in .txt here, so
// that no tool takes it for a module of this repository.
//
//go:embed template
var adapterTemplate embed.FS

var adapterName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func newAdaptersNewCmd(a *app) *cobra.Command {
	return describe(&cobra.Command{
		Use:   "new NAME",
		Short: "Write an adapter of your own, with its tests, into the folder NAME",
		Args:  cobra.ExactArgs(1),
		RunE:  func(_ *cobra.Command, args []string) error { return a.writeAdapter(args[0]) },
	}, `
Writes a working adapter in Python: a small image classifier in plain PyTorch
with its tests and requirements. Change it, declare it with an adapter block,
and describe it with runner adapters describe.`)
}

func (a *app) writeAdapter(name string) error {
	if !adapterName.MatchString(name) {
		return usagef("%q is no name for an adapter: write a small letter, then small letters, digits and _", name)
	}
	if _, ok := a.builtIn.Lookup(name); ok {
		return usagef("%q is an adapter that comes with the runner; give yours another name", name)
	}
	dir := a.path(name)
	if _, err := os.Lstat(dir); err == nil {
		return pipelines.Errorf(pipelines.CodeConflict, "%s is there already; nothing was written", dir)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := adapterTemplate.ReadDir("template")
	if err != nil {
		return err
	}
	var files []string
	for _, e := range entries {
		text, err := adapterTemplate.ReadFile("template/" + e.Name())
		if err != nil {
			return err
		}
		file := filepath.Join(dir, strings.TrimSuffix(e.Name(), ".txt"))
		if e.Name() == "requirements.txt" {
			file = filepath.Join(dir, e.Name())
		}
		text = []byte(strings.ReplaceAll(string(text), "NAME", name))
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
		files = append(files, file)
	}
	return a.show(map[string]any{"name": name, "files": files}, func(w io.Writer) {
		fmt.Fprintf(w, "Wrote %s.\nDeclare it in a pipeline:\n\n    adapter %q {\n      source       = \"./%s/adapter.py\"\n      requirements = \"./%s/requirements.txt\"\n    }\n\nand run:\n\n    runner adapters describe\n",
			strings.Join(files, ", "), name, name, name)
	})
}
