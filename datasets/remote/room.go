package remote

import (
	"os"
	"syscall"

	"github.com/trainwright/trainwright/pipelines"
)

// room refuses to fetch what the disk cannot hold, before a byte is fetched.
func (c *Cache) room(bytes int64) error {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(c.Dir, &st); err != nil {
		return nil // then the disk itself will say so
	}
	if free := int64(st.Bavail) * st.Bsize; bytes > free {
		return pipelines.Errorf(pipelines.CodeUnavailable, "the dataset needs %d MB and %s has %d MB free; free some, or move the cache with XDG_CACHE_HOME",
			bytes>>20, c.Dir, free>>20)
	}
	return nil
}
