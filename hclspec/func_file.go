package hclspec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// fileFunc is file("path"): the text of a file inside the pipeline's folder.
// os.Root keeps links and ".." from leading out of it.
func fileFunc(m *module) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			path := args[0].AsString()
			if m.opts.Submission != nil {
				return cty.UnknownVal(cty.String), &callError{SummaryNotAllowed, fmt.Sprintf("file(%q) reads files of the server. Write the text into the pipeline, or give it as a variable.", path)}
			}
			data, err := readConfined(m.dir, path)
			if err != nil {
				return cty.UnknownVal(cty.String), &callError{"Cannot read file", fmt.Sprintf("file(%q): %s. The path is relative to the pipeline's folder and must stay inside it.", path, err)}
			}
			if !utf8.Valid(data) {
				return cty.UnknownVal(cty.String), &callError{"Cannot read file", fmt.Sprintf("file(%q): the content is not UTF-8 text.", path)}
			}
			return cty.StringVal(string(data)), nil
		},
	})
}

func readConfined(dir, path string) ([]byte, error) {
	if !filepath.IsLocal(path) {
		return nil, errors.New("the path leads out of the pipeline's folder")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no such file")
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	case info.Size() > maxString:
		return nil, fmt.Errorf("the file has more than %d bytes", maxString)
	}
	f, err := root.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxString))
}
