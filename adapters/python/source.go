package python

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	platformsdk "github.com/trainwright/trainwright/sdk/python"
)

// maxSources bounds what is read for a key: a folder with more Python files
// than this holds something else than an adapter.
const maxSources = 2000

// SourceKey identifies what a description was made from: the *.py files of the
// source's folder (tests, hidden folders and virtual environments left out),
// the requirements and the SDK's version. source is a file or a package folder.
func SourceKey(source string, requirements Requirements) (string, error) {
	info, err := os.Stat(source)
	if err != nil {
		return "", err
	}
	folder := source
	if !info.IsDir() {
		folder = filepath.Dir(source)
	}
	files, err := sources(folder)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "sdk %s\n", platformsdk.Version())
	for _, file := range files {
		if err := addFile(h, folder, file); err != nil {
			return "", err
		}
	}
	if requirements.Hash != "" {
		fmt.Fprintf(h, "requirements %s\n", requirements.Hash)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

func addFile(h hash.Hash, folder, file string) error {
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	fmt.Fprintf(h, "%s %x\n", filepath.ToSlash(file), sum)
	return nil
}

// sources lists the Python files below a folder, relative to it, sorted.
func sources(folder string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != folder && (strings.HasPrefix(name, ".") || name == "__pycache__" || name == "tests" || isEnvironment(path)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".py") || strings.HasPrefix(name, "test_") || name == "conftest.py" {
			return nil
		}
		if len(out) == maxSources {
			return fmt.Errorf("%s holds more than %d Python files; put the adapter into a folder of its own", folder, maxSources)
		}
		rel, err := filepath.Rel(folder, path)
		out = append(out, rel)
		return err
	})
	slices.Sort(out)
	return out, err
}

func isEnvironment(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "pyvenv.cfg"))
	return err == nil
}

// Requirements is a requirements file, with those that it names by -r.
type Requirements struct {
	Path string // "" = given as text
	Text string
	Hash string // of what it asks for: comments and blanks do not count; "" = nothing
}

// ReadRequirements reads a requirements file; "" is none.
func ReadRequirements(path string) (Requirements, error) {
	if path == "" {
		return Requirements{}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Requirements{}, err
	}
	r := Requirements{Path: path, Text: string(text)}
	var lines []string
	if lines, err = wanted(path, text, 0); err != nil {
		return r, err
	}
	r.Hash = hashLines(lines)
	return r, nil
}

// TextRequirements are requirements that come with this program.
func TextRequirements(text string) Requirements {
	return Requirements{Text: text, Hash: hashLines(lines([]byte(text)))}
}

func lines(text []byte) []string {
	var out []string
	for line := range bytes.Lines(text) {
		s := string(line)
		if at := strings.Index(s, " #"); at >= 0 {
			s = s[:at]
		}
		if s = strings.TrimSpace(s); s != "" && !strings.HasPrefix(s, "#") {
			out = append(out, s)
		}
	}
	return out
}

// wanted lists the lines that count, with those of included files in place.
func wanted(path string, text []byte, depth int) ([]string, error) {
	if depth > 8 {
		return nil, fmt.Errorf("%s: requirements files include one another more than 8 deep", path)
	}
	var out []string
	for _, line := range lines(text) {
		name, included := includes(line)
		if !included {
			out = append(out, line)
			continue
		}
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), name)
		}
		inner, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, line, err)
		}
		more, err := wanted(name, inner, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func includes(line string) (string, bool) {
	for _, flag := range []string{"-r", "--requirement", "-c", "--constraint"} {
		if rest, ok := strings.CutPrefix(line, flag); ok && rest != "" && strings.ContainsRune(" \t=", rune(rest[0])) {
			return strings.TrimSpace(strings.TrimPrefix(rest, "=")), true
		}
	}
	return "", false
}

func hashLines(list []string) string {
	if len(list) == 0 {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.Join(list, "\n")))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Unpinned lists what is asked for without an exact version.
func (r Requirements) Unpinned() []string {
	var out []string
	for _, line := range lines([]byte(r.Text)) {
		if !strings.HasPrefix(line, "-") && !strings.Contains(line, "==") && !strings.Contains(line, " @ ") && !strings.Contains(line, "/") {
			out = append(out, line)
		}
	}
	return out
}

// notThere reports a missing file.
func notThere(err error) bool { return errors.Is(err, fs.ErrNotExist) }
