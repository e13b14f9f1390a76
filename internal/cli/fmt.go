package cli

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines/durable"
)

type fmtFlags struct{ check, diff, list, write, recursive bool }

func newFmtCmd(a *app) *cobra.Command {
	var f fmtFlags
	c := describe(&cobra.Command{
		Use:   "fmt [PATH...]",
		Short: "Rewrite files in the standard format",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "-" {
				return a.formatStdin(f)
			}
			if len(args) == 0 {
				args = []string{"."}
			}
			return a.formatFiles(f, args)
		},
	}, `
Rewrites pipeline files (folders with all their *.hcl, or single files) in the
standard format and lists those that changed. "-" reads standard input and
writes standard output.`, exitDone, exitError, exitDiffers)
	c.Flags().BoolVar(&f.check, "check", false, "change nothing; exit with 3 when a file differs")
	c.Flags().BoolVar(&f.diff, "diff", false, "show what changes")
	c.Flags().BoolVar(&f.list, "list", true, "list files that differ")
	c.Flags().BoolVar(&f.write, "write", true, "rewrite the files")
	c.Flags().BoolVar(&f.recursive, "recursive", false, "also in sub-folders")
	return c
}

func (a *app) formatStdin(f fmtFlags) error {
	src, err := io.ReadAll(io.LimitReader(a.Stdin, 16<<20))
	if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	out, diags := hclspec.Format(src, "<stdin>")
	if diags.HasErrors() {
		a.files["<stdin>"] = &hcl.File{Bytes: src}
		return diags
	}
	if err := a.show(map[string]any{"changed": !bytes.Equal(src, out), "text": string(out)}, func(w io.Writer) {
		switch {
		case f.diff:
			_, _ = w.Write(unifiedDiff("<stdin>", src, out)) // into memory
		case !f.check:
			_, _ = w.Write(out)
		}
	}); err != nil {
		return err
	}
	if f.check && !bytes.Equal(src, out) {
		return exitStatus(exitDiffers)
	}
	return nil
}

// formatFiles formats what it can and reports every file that is no HCL.
func (a *app) formatFiles(f fmtFlags, paths []string) error {
	var names []string
	for _, p := range paths {
		found, err := hclFiles(a.path(p), f.recursive)
		if err != nil {
			return err
		}
		names = append(names, found...)
	}
	var problems hcl.Diagnostics
	changed := []string{}
	var diff bytes.Buffer
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		out, diags := hclspec.Format(src, name)
		if diags.HasErrors() {
			a.files[name] = &hcl.File{Bytes: src}
			problems = append(problems, diags...)
			continue
		}
		if bytes.Equal(src, out) {
			continue
		}
		changed = append(changed, name)
		diff.Write(unifiedDiff(name, src, out))
		if f.write && !f.check {
			if err := replaceFile(name, out); err != nil {
				return err
			}
		}
	}
	err := a.show(map[string]any{"changed": changed}, func(w io.Writer) {
		if f.list {
			for _, name := range changed {
				fmt.Fprintln(w, name)
			}
		}
		if f.diff {
			_, _ = diff.WriteTo(w) // into memory
		}
	})
	switch {
	case err != nil:
		return err
	case problems.HasErrors():
		return problems
	case f.check && len(changed) > 0:
		return exitStatus(exitDiffers)
	}
	return nil
}

// hclFiles lists a file, or the *.hcl of a folder, hidden ones and folders left out.
func hclFiles(path string, recursive bool) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, usagef("%w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var names []string
	err = filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		switch hidden := strings.HasPrefix(e.Name(), ".") && name != path; {
		case err != nil:
			return err
		case e.IsDir() && name != path && (hidden || !recursive):
			return fs.SkipDir
		case !hidden && e.Type().IsRegular() && strings.HasSuffix(name, ".hcl"):
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// replaceFile writes a file's new content whole or not at all, keeping its mode.
func replaceFile(name string, text []byte) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return durable.WriteFile(name, text, info.Mode().Perm())
}
