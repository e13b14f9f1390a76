package weights

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/trainwright/trainwright/engine/internal/disk"
)

// DefaultEndpoint is the public model hub, used when HF_ENDPOINT is not set.
const DefaultEndpoint = "https://huggingface.co"

// MaxDownload bounds one downloaded file.
const MaxDownload = 16 << 30

// ErrOffline is wrapped when a file would have to be downloaded and the hub may
// not be asked.
var ErrOffline = errors.New("offline")

// ErrHash is wrapped when a file's content is not the pinned or announced one.
var ErrHash = errors.New("hash mismatch")

// Hub downloads files from a model hub into a cache in huggingface_hub's layout
// (models--OWNER--NAME/{blobs,refs,snapshots}), so that a cache shared with
// Python tools is reused and readable by them.
type Hub struct {
	Endpoint string       // scheme and host; "" is DefaultEndpoint
	Token    string       // sent as a bearer token to Endpoint only
	CacheDir string       // the folder that holds models--*
	Offline  bool         // use the cache, never the network
	Client   *http.Client // nil is http.DefaultClient
}

// HubFromEnv makes a Hub from the hub's standard environment: HF_ENDPOINT,
// HF_TOKEN, HF_HUB_OFFLINE, and HF_HUB_CACHE or HF_HOME for the cache, which is
// otherwise userCache/hub.
func HubFromEnv(getenv func(string) string, userCache string) Hub {
	h := Hub{Endpoint: getenv("HF_ENDPOINT"), Token: getenv("HF_TOKEN"), CacheDir: filepath.Join(userCache, "hub")}
	switch strings.ToLower(getenv("HF_HUB_OFFLINE")) {
	case "1", "true", "yes", "on":
		h.Offline = true
	}
	if d := getenv("HF_HUB_CACHE"); d != "" {
		h.CacheDir = d
	} else if d := getenv("HF_HOME"); d != "" {
		h.CacheDir = filepath.Join(d, "hub")
	}
	return h
}

// HubFile names one file of one repository.
type HubFile struct {
	Repo     string // "timm/resnet18.a1_in1k"
	Revision string // branch, tag or commit; "" is main
	Name     string // "" is model.safetensors
}

func (f HubFile) String() string { return f.Repo + "@" + f.Revision + ":" + f.Name }

var (
	repoPattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$`)
	revisionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	sha256Pattern   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func (f HubFile) normal() (HubFile, error) {
	if f.Revision == "" {
		f.Revision = "main"
	}
	if f.Name == "" {
		f.Name = "model.safetensors"
	}
	if !repoPattern.MatchString(f.Repo) {
		return f, fmt.Errorf("model hub: %q is not a repository name of the form OWNER/NAME", f.Repo)
	}
	if !revisionPattern.MatchString(f.Revision) || !revisionPattern.MatchString(f.Name) {
		return f, fmt.Errorf("model hub: revision %q or file name %q has characters that are not allowed", f.Revision, f.Name)
	}
	return f, nil
}

// Fetch returns the path of a file and the SHA-256 of its content in lower-case
// hex. With a pinned hash (as a lock file holds it) the content must have it; a
// cached copy is hashed again before it is used. Without a cached copy the file
// is downloaded once, checked against the length and hash that the hub
// announces, and renamed into place only when whole.
func (h Hub) Fetch(ctx context.Context, file HubFile, pinned string) (path, sum string, err error) {
	file, err = file.normal()
	if err != nil {
		return "", "", err
	}
	pinned = strings.ToLower(pinned)
	if pinned != "" && !sha256Pattern.MatchString(pinned) {
		return "", "", fmt.Errorf("model hub: the pinned hash %q of %s is not a SHA-256 in hex", pinned, file)
	}
	if path, sum, ok := h.cached(file, pinned); ok {
		return path, sum, nil
	}
	if h.Offline {
		return "", "", fmt.Errorf("model hub: %s is not in the cache %s and may not be downloaded: %w; run once without --offline, or give the weights as a file", file, h.CacheDir, ErrOffline)
	}
	return h.download(ctx, file, pinned)
}

func (h Hub) folder(f HubFile) string {
	return filepath.Join(h.CacheDir, "models--"+strings.ReplaceAll(f.Repo, "/", "--"))
}

// cached looks for the pinned blob, or for what the revision's ref points at.
func (h Hub) cached(f HubFile, pinned string) (path, sum string, ok bool) {
	try := func(p string) bool {
		got, _, err := disk.SHA256(p)
		if err != nil || pinned != "" && got != pinned {
			return false
		}
		path, sum = p, got
		return true
	}
	if pinned != "" && try(filepath.Join(h.folder(f), "blobs", pinned)) {
		return path, sum, true
	}
	commit := f.Revision
	if ref, err := os.ReadFile(filepath.Join(h.folder(f), "refs", f.Revision)); err == nil {
		if c := strings.TrimSpace(string(ref)); revisionPattern.MatchString(c) {
			commit = c
		}
	}
	ok = try(filepath.Join(h.folder(f), "snapshots", commit, f.Name))
	return path, sum, ok
}

// announced is what the hub says about a file before its content arrives.
type announced struct{ commit, sum string }

func (h Hub) download(ctx context.Context, f HubFile, pinned string) (path, sum string, err error) {
	resp, said, err := h.get(ctx, f)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	blobs := filepath.Join(h.folder(f), "blobs")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return "", "", fmt.Errorf("model hub: make the cache: %w", err)
	}
	tmp, err := os.CreateTemp(blobs, "*.incomplete")
	if err != nil {
		return "", "", fmt.Errorf("model hub: make the cache: %w", err)
	}
	defer os.Remove(tmp.Name()) // gone already when it was renamed
	defer tmp.Close()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(tmp, hash), io.LimitReader(resp.Body, MaxDownload+1))
	switch {
	case err != nil:
		return "", "", fmt.Errorf("model hub: download %s: it broke off after %d bytes: %w", f, n, err)
	case n > MaxDownload:
		return "", "", fmt.Errorf("model hub: download %s: it is larger than the limit of %d bytes", f, int64(MaxDownload))
	case resp.ContentLength >= 0 && n != resp.ContentLength:
		return "", "", fmt.Errorf("model hub: download %s: %d of %d bytes arrived: %w", f, n, resp.ContentLength, io.ErrUnexpectedEOF)
	}
	sum = hex.EncodeToString(hash.Sum(nil))
	if pinned != "" && sum != pinned {
		return "", "", fmt.Errorf("model hub: %s has SHA-256 %s, but %s is pinned: %w; the file on the hub has changed, or the download was tampered with", f, sum, pinned, ErrHash)
	}
	if said.sum != "" && sum != said.sum {
		return "", "", fmt.Errorf("model hub: %s arrived with SHA-256 %s, but the hub announced %s: %w", f, sum, said.sum, ErrHash)
	}
	path, err = h.install(f, tmp, sum, said.commit)
	if err != nil {
		return "", "", fmt.Errorf("model hub: store %s in the cache: %w", f, err)
	}
	return path, sum, nil
}

// get starts the download. The hub's commit and hash headers stand on its own
// answer, which is usually a redirect to a content store.
func (h Hub) get(ctx context.Context, f HubFile) (*http.Response, announced, error) {
	base := strings.TrimRight(h.Endpoint, "/")
	if base == "" {
		base = DefaultEndpoint
	}
	u := fmt.Sprintf("%s/%s/resolve/%s/%s", base, f.Repo, url.PathEscape(f.Revision), url.PathEscape(f.Name))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, announced{}, fmt.Errorf("model hub: endpoint %q: %w", h.Endpoint, err)
	}
	if h.Token != "" {
		req.Header.Set("Authorization", "Bearer "+h.Token)
	}
	var said announced
	note := func(r *http.Response) {
		if c := r.Header.Get("X-Repo-Commit"); said.commit == "" && revisionPattern.MatchString(c) {
			said.commit = c
		}
		if s := strings.Trim(r.Header.Get("X-Linked-Etag"), `"`); said.sum == "" && sha256Pattern.MatchString(s) {
			said.sum = s
		}
	}
	client := http.Client{}
	if h.Client != nil {
		client = *h.Client
	}
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		note(next.Response)
		if len(via) > 5 {
			return errors.New("too many redirects")
		}
		return nil
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, said, fmt.Errorf("model hub: download %s: %w", f, err)
	}
	note(resp)
	if resp.StatusCode == http.StatusOK {
		return resp, said, nil
	}
	resp.Body.Close()
	why := ""
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		why = "; a private or gated model needs HF_TOKEN"
	case http.StatusNotFound:
		why = "; check the repository, revision and file name"
	}
	return nil, said, fmt.Errorf("model hub: download %s: the hub answered %s%s", f, resp.Status, why)
}

// install renames the blob to its hash and links refs and snapshots to it.
func (h Hub) install(f HubFile, tmp *os.File, sum, commitID string) (string, error) {
	dir := h.folder(f)
	blob := filepath.Join(dir, "blobs", sum)
	if err := disk.Commit(tmp, blob); err != nil {
		return "", err
	}
	if commitID == "" {
		commitID = f.Revision
	}
	snap := filepath.Join(dir, "snapshots", commitID)
	for _, d := range []string{snap, filepath.Join(dir, "refs")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return "", err
		}
	}
	link := filepath.Join(snap, f.Name)
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if err := os.Symlink(filepath.Join("..", "..", "blobs", sum), link); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	if commitID != f.Revision {
		if err := os.WriteFile(filepath.Join(dir, "refs", f.Revision), []byte(commitID), 0o644); err != nil {
			return "", err
		}
	}
	return blob, nil
}
