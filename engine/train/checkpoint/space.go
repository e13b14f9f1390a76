package checkpoint

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// spare is what a checkpoint must leave free: the logs and the store need it.
const spare = 16 << 20

// checkSpace refuses to begin what would fill the disk.
func checkSpace(dir string, bytes int64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return nil // a file system that cannot tell; writing will show
	}
	free := int64(s.Bavail) * int64(s.Bsize)
	if free < bytes+spare {
		return fmt.Errorf("%w: %s has %d MB free, %d MB are needed; free some space or lower checkpoint.keep_last",
			ErrNoSpace, dir, free>>20, (bytes+spare)>>20)
	}
	return nil
}
