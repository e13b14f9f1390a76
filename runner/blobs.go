package runner

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// Blobs keeps files by key: the archive of checkpoints and artifacts, and
// datasets that lie in object storage. Packages runner/blob/* fulfil it; their
// suite is runner/blob/blobtest. Keys are slash-separated relative paths
// (CheckBlobKey). Errors carry a pipelines.Code: not_found, invalid (refused:
// wrong key, credentials or bucket; trying again cannot help), or unavailable.
type Blobs interface {
	// Put stores a file, whole or not at all, in place of what the key held.
	Put(ctx context.Context, key, file string) error
	// Get writes the content to file, whole or not at all. It goes on where
	// an earlier Get of the same content to the same file was cut short.
	Get(ctx context.Context, key, file string) error
	// List returns what lies under a key prefix, in key order.
	List(ctx context.Context, prefix string) ([]Blob, error)
	// Delete removes keys; one that is not there is no error.
	Delete(ctx context.Context, keys ...string) error
	// URL names a key to people: s3://bucket/prefix/key, or a path.
	URL(key string) string
}

// Blob is a stored file.
type Blob struct {
	Key      string
	Size     int64  // bytes
	ETag     string // changes with the content, as far as the store can tell
	Modified time.Time
}

// CheckBlobKey refuses keys that some store could not keep, or that a file
// system would resolve elsewhere.
func CheckBlobKey(key string) error {
	if key == "" || len(key) > 900 || strings.HasPrefix(key, "/") || path.Clean(key) != key ||
		key == "." || key == ".." || strings.HasPrefix(key, "../") || strings.ContainsAny(key, "\x00\\") {
		return pipelines.Errorf(pipelines.CodeInvalid, "%q is no key: wanted a relative path of at most 900 bytes without .. and backslashes", key)
	}
	return nil
}
