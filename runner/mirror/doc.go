// Package mirror makes the checkpoints and artifacts of a run's folder like
// those of another, whatever carries the bytes between the two: a server, a
// bucket, a socket.
//
// Whoever reads the folder meanwhile, also after a crash, may rely on this. A
// checkpoint or artifact has its name once it is whole and on disk. A link
// (best, latest) follows what it points to, and never points at what is not
// there. A checkpoint that the retention removed over there goes here too; but
// a side that has none at all has lost them, and then nothing goes.
//
// Pull copies into a folder of this machine. CatchUp has the same rules for a
// copy that is elsewhere, and Folder carries out there what it asks for. What a
// pod puts into a bucket is named by its content and is no folder: of this
// package it uses List alone.
package mirror

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// Folders of a run. What lies in the first two appears whole; of an attempt's
// files each is an entry of its own.
const (
	Checkpoints = "checkpoints"
	Artifacts   = "artifacts"
	attempts    = "attempts"
)

// File is a file or a link of a run's folder.
type File struct {
	Path string    `json:"path"` // below the run's folder, with slashes
	Size int64     `json:"size,omitempty"`
	Time time.Time `json:"mtime,omitzero"`
	Link string    `json:"link,omitempty"` // the neighbour that it points to
	// SHA256 of the content in hex, from sides that know it; they need no Time.
	SHA256 string `json:"sha256,omitempty"`
}

// Entries are files by what appears at once: "checkpoints/epoch_3".
type Entries map[string][]File

// Group sorts files into entries. What another side says is not trusted: a
// path or link that leads elsewhere is an error.
func Group(files []File) (Entries, error) {
	out := Entries{}
	for _, f := range files {
		name, ok := entry(f.Path)
		if f.Link != "" {
			ok = ok && name == f.Path && plain(f.Link) && f.Link != path.Base(name) && !strings.HasPrefix(name, attempts+"/")
		}
		alone := name == f.Path // an entry of its own: nothing else has its name
		if first := out[name]; first != nil {
			ok = ok && !alone && first[0].Path != name
		}
		if !ok {
			return nil, pipelines.Errorf(pipelines.CodeInvalid, "%.300q (a link to %.300q) is no file of a run's folder, or is named twice", f.Path, f.Link)
		}
		out[name] = append(out[name], f)
	}
	for _, files := range out {
		slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	}
	return out, nil
}

// entry is the name of the entry that a path belongs to.
func entry(p string) (name string, ok bool) {
	parts := strings.Split(p, "/")
	if !filepath.IsLocal(filepath.FromSlash(p)) || slices.ContainsFunc(parts, func(part string) bool { return !plain(part) }) {
		return "", false
	}
	switch parts[0] {
	case Checkpoints, Artifacts:
		if len(parts) > 1 {
			return parts[0] + "/" + parts[1], true
		}
	case attempts:
		return p, len(parts) == 3
	}
	return "", false
}

// plain is a name that is not hidden: hidden ones are being written.
func plain(name string) bool {
	return name != "" && !strings.HasPrefix(name, ".") && !strings.ContainsAny(name, "/\x00")
}

// target is the entry that a link points to; "" = it is no link.
func target(name string, files []File) string {
	if files[0].Link == "" {
		return ""
	}
	return path.Join(path.Dir(name), files[0].Link)
}
