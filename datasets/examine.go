package datasets

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/trainwright/trainwright/engine/image"
)

// facts are what reading a file once told.
type facts struct {
	SHA256        [sha256.Size]byte
	Bytes         int64
	Width, Height int
	Kind          string // "" = usable, else a file kind
	Problem       string // why not
}

// examine reads and decodes every file, several at once, or finds in the cache
// that it did before. facts[i] belongs to files[i].
func (c *Catalog) examine(ctx context.Context, files []file) ([]facts, error) {
	c.cache.open(c.CacheFile)
	out := make([]facts, len(files))
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(c.workers(), len(files)) {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				out[i] = c.cache.examine(files[i].path)
			}
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	c.cache.save(c.CacheFile)
	return out, nil
}

// readFacts reads a file: its hash, and what decoding it whole says, unless
// known tells that already for this content.
func readFacts(path string, known func([sha256.Size]byte) (facts, bool)) facts {
	data, err := os.ReadFile(path)
	if err != nil {
		return unreadable(err)
	}
	sum := sha256.Sum256(data)
	if f, ok := known(sum); ok {
		return f
	}
	f := facts{SHA256: sum, Bytes: int64(len(data))}
	m, err := image.Decode(data)
	if err != nil {
		f.Kind, f.Problem = fileCorrupt, err.Error()
		var bomb *image.TooLargeError
		var other *image.UnknownFormatError
		switch {
		case errors.As(err, &bomb):
			f.Kind = fileBomb
		case errors.As(err, &other):
			f.Kind = fileNotImage
		}
		return f
	}
	f.Width, f.Height = m.Width, m.Height
	return f
}

// unreadable leaves out the path that system errors carry; the report has it.
func unreadable(err error) facts {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return facts{Kind: fileUnreadable, Problem: err.Error()}
}
