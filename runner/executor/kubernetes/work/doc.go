// Package work carries a run's folder between a runner and pods that share no
// volume, by way of a bucket. Folders have the same path on both sides. Below
// the bucket's prefix lie
//
//	runs/RUN/pods/N/in.json       what the pod of attempt N starts with
//	runs/RUN/pods/N/out.json      what it has made: written last, what it lists is whole
//	runs/RUN/pods/objects/SHA256  files of both, by content
//	data/KEY/0000.tar …           data sets and other inputs, packed; shared by runs
//
// The runner sends what the pod starts with (Sender) and brings home what it
// made (Place.Bring). The pod fetches the one (Place.Fetch) and keeps the
// other up to date while its step works (Keeper): a bucket that is away delays
// no step. out.json is the pointer to the last good checkpoint.
package work

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Place is an attempt's place in a bucket.
type Place struct {
	Blobs   runner.Blobs
	Run     string
	Attempt int
}

// manifest is in.json or out.json.
type manifest struct {
	Version int    `json:"v"`
	Dir     string `json:"dir"` // the run's folder; Files and Links are relative to it
	Files   []file `json:"files"`
	// Links between checkpoints: checkpoints/latest -> epoch_3.
	Links map[string]string `json:"links,omitempty"`
	// Sets are inputs outside the run's folder.
	Sets []set `json:"sets,omitempty"`
	// Final: the attempt has ended, and all that it made is listed.
	Final bool `json:"final,omitempty"`
}

const version = 1

// file is the concatenation of its parts.
type file struct {
	Path  string `json:"path"`
	Parts []part `json:"parts"`
}

type part struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // bytes
}

// set is an input that was packed: data/KEY/0000.tar to data/KEY/(Packs-1).tar.
type set struct {
	Key   string `json:"key"`
	To    string `json:"to"` // the file or folder in the pod
	Packs int    `json:"packs"`
}

func (p Place) root() string             { return "runs/" + p.Run + "/pods/" }
func (p Place) object(sum string) string { return p.root() + "objects/" + sum }
func (p Place) manifest(n string) string { return p.root() + strconv.Itoa(p.Attempt) + "/" + n }
func pack(key string, i int) string      { return fmt.Sprintf("data/%s/%04d.tar", key, i) }
func attemptDir(runDir string, n int) string {
	return filepath.Join(runDir, "attempts", strconv.Itoa(n))
}

// read reads a manifest; code not_found = it was not written yet.
func (p Place) read(ctx context.Context, name string) (manifest, error) {
	var m manifest
	tmp, err := os.MkdirTemp("", "work")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(tmp)
	at := filepath.Join(tmp, name)
	if err := p.Blobs.Get(ctx, p.manifest(name), at); err != nil {
		return m, err
	}
	b, err := os.ReadFile(at)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, pipelines.Errorf(pipelines.CodeInternal, "%s is damaged: %w", p.Blobs.URL(p.manifest(name)), err)
	}
	if m.Version != version {
		return m, pipelines.Errorf(pipelines.CodeInvalid, "%s has version %d, and this program knows %d; the runner and the one in the image must be of one release",
			p.Blobs.URL(p.manifest(name)), m.Version, version)
	}
	return m, nil
}

func (p Place) write(ctx context.Context, name string, m manifest) error {
	m.Version = version
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return p.putBytes(ctx, p.manifest(name), b)
}

func (p Place) putBytes(ctx context.Context, key string, b []byte) error {
	f, err := os.CreateTemp("", "work")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return p.Blobs.Put(ctx, key, f.Name())
}

// Started reports that a pod of the attempt has written something.
func (p Place) Started(ctx context.Context) (bool, error) {
	_, err := p.read(ctx, "out.json")
	if pipelines.CodeOf(err) == pipelines.CodeNotFound {
		return false, nil
	}
	return err == nil, err
}

// Remove removes what the run's pods left in the bucket: it is home.
func (p Place) Remove(ctx context.Context) error {
	list, err := p.Blobs.List(ctx, p.root())
	if err != nil {
		return err
	}
	keys := make([]string, len(list))
	for i, o := range list {
		keys[i] = o.Key
	}
	return p.Blobs.Delete(ctx, keys...)
}
