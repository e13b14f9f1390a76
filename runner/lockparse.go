package runner

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// The lock file is HCL of one fixed form, a line for each thing, and read line
// by line: HCL's own parser can be made to overflow the stack.
var (
	lockBlock = regexp.MustCompile(`^(adapter|dataset|weights|image)\s+("(?:[^"\\]|\\.)*")\s*\{$`)
	lockValue = regexp.MustCompile(`^([a-z0-9_]+)\s*=\s*("(?:[^"\\]|\\.)*"|[0-9]+)$`)
)

func parseLockFile(path string, text []byte) (LockFile, error) {
	lock := newLockFile()
	kind, name := "", ""
	values := map[string]string{}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		err := error(nil)
		if m := lockBlock.FindStringSubmatch(line); m != nil && kind == "" {
			kind = m[1]
			name, err = unquote(m[2])
			values = map[string]string{}
		} else if m := lockValue.FindStringSubmatch(line); m != nil && kind != "" {
			values[m[1]], err = unquote(m[2])
		} else if line == "}" && kind != "" {
			err = lock.add(kind, name, values)
			kind = ""
		} else if line != "" && !strings.HasPrefix(line, "#") {
			err = fmt.Errorf("this line has no place here")
		}
		if err != nil {
			return lock, badLock(path, i+1, err)
		}
	}
	if kind != "" {
		return lock, badLock(path, bytes.Count(text, []byte("\n"))+1, fmt.Errorf("the block %s %q has no end", kind, name))
	}
	return lock, nil
}

func badLock(path string, line int, err error) error {
	return pipelines.Errorf(pipelines.CodeInvalid,
		"%s:%d: %w; if it is a merge conflict, resolve it; the file can also be removed, and the next apply writes it anew", path, line, err)
}

func (l *LockFile) add(kind, name string, values map[string]string) error {
	switch kind {
	case "adapter":
		numerics, err := strconv.Atoi(values["numerics"])
		if err != nil {
			return fmt.Errorf("adapter %q needs a number as numerics", name)
		}
		l.Adapters[name] = AdapterPin{Version: values["version"], Numerics: numerics, Lock: values["lock"]}
	case "dataset":
		l.Datasets[name] = values["fingerprint"]
	case "weights":
		l.Weights[name] = values["sha256"]
	case "image":
		if !strings.Contains(values["pinned"], "@sha256:") {
			return fmt.Errorf("image %q needs its reference with a digest as pinned", name)
		}
		l.Images[name] = values["pinned"]
	}
	return nil
}

// unquote reads a quoted string as HCL does, or a number as it stands.
func unquote(s string) (string, error) {
	if !strings.HasPrefix(s, `"`) {
		return s, nil
	}
	s, err := strconv.Unquote(s)
	return strings.NewReplacer("$${", "${", "%%{", "%{").Replace(s), err
}

// quote writes a string as HCL reads it back.
func quote(s string) string {
	var b bytes.Buffer
	b.WriteByte('"')
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case (r == '$' || r == '%') && i+1 < len(s) && s[i+1] == '{':
			b.WriteRune(r)
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
