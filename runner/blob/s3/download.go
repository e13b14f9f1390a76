package s3

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/runner"
)

// Get implements runner.Blobs. Parts are fetched side by side into
// ".NAME.part"; ".NAME.parts" lists those that are whole, so that a later Get of
// the same content fetches only the others.
func (b *Blobs) Get(ctx context.Context, key, file string) error {
	if err := runner.CheckBlobKey(key); err != nil {
		return err
	}
	head, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.bucket, Key: b.name(key)})
	if err != nil {
		return b.coded(ctx, key, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	d := &download{b: b, key: key, etag: aws.ToString(head.ETag), size: aws.ToInt64(head.ContentLength)}
	hidden := filepath.Join(filepath.Dir(file), "."+filepath.Base(file))
	if err := d.open(hidden+".part", hidden+".parts"); err != nil {
		return err
	}
	err = d.fetch(ctx)
	err = errors.Join(err, d.data.Sync(), d.data.Close(), d.journal.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(hidden+".part", file); err != nil {
		return err
	}
	if err := os.Remove(hidden + ".parts"); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(file))
}

// download is one file on its way.
type download struct {
	b       *Blobs
	key     string
	etag    string
	size    int64
	data    *os.File
	mu      sync.Mutex
	journal *os.File
	whole   map[int64]bool // parts that are there
}

// title is the first line of a journal: another content begins anew.
func (d *download) title() string { return fmt.Sprintf("%s %d %d", d.etag, d.size, d.b.part) }

// open takes up what an earlier download left.
func (d *download) open(data, journal string) (err error) {
	d.whole = map[int64]bool{}
	if text, rerr := os.ReadFile(journal); rerr == nil {
		lines := bufio.NewScanner(strings.NewReader(string(text)))
		if lines.Scan() && lines.Text() == d.title() {
			for lines.Scan() {
				if n, perr := strconv.ParseInt(lines.Text(), 10, 64); perr == nil {
					d.whole[n] = true
				}
			}
		}
	} else if !errors.Is(rerr, fs.ErrNotExist) {
		return rerr
	}
	if info, serr := os.Stat(data); serr != nil || info.Size() != d.size {
		clear(d.whole)
	}
	if d.data, err = os.OpenFile(data, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return err
	}
	if err := d.data.Truncate(d.size); err != nil {
		return errors.Join(err, d.data.Close())
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if len(d.whole) == 0 {
		flags |= os.O_TRUNC
	}
	if d.journal, err = os.OpenFile(journal, flags, 0o644); err != nil {
		return errors.Join(err, d.data.Close())
	}
	if len(d.whole) == 0 {
		_, err = fmt.Fprintln(d.journal, d.title())
	}
	return err
}

func (d *download) fetch(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for n := range (d.size + d.b.part - 1) / d.b.part {
		if d.whole[n] {
			continue
		}
		group.Go(func() error { return d.one(ctx, n) })
	}
	return group.Wait()
}

// one fetches a part; a connection that breaks in the middle is tried again.
func (d *download) one(ctx context.Context, n int64) error {
	from, to := n*d.b.part, min((n+1)*d.b.part, d.size)
	var err error
	for range 4 {
		if err = d.copy(ctx, from, to); err == nil {
			d.mu.Lock()
			defer d.mu.Unlock()
			// The part is on disk before the journal says so.
			if err := d.data.Sync(); err != nil {
				return err
			}
			_, err := fmt.Fprintln(d.journal, n)
			return err
		}
		if !errors.Is(err, errBroken) || ctx.Err() != nil {
			break
		}
	}
	return d.b.coded(ctx, d.key, err)
}

var errBroken = errors.New("the connection broke")

func (d *download) copy(ctx context.Context, from, to int64) error {
	out, err := d.b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &d.b.bucket, Key: d.b.name(d.key),
		Range: aws.String(fmt.Sprintf("bytes=%d-%d", from, to-1)), IfMatch: &d.etag})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	if got := aws.ToString(out.ETag); got != "" && got != d.etag { // some services check If-Match before they open
		return fmt.Errorf("the content changed while it was fetched (ETag %s, then %s)", d.etag, got)
	}
	n, err := io.Copy(io.NewOffsetWriter(d.data, from), io.LimitReader(out.Body, to-from))
	if err == nil && n < to-from {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("%w after %d of %d bytes: %w", errBroken, n, to-from, err)
	}
	return nil
}
