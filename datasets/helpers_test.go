package datasets_test

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
)

// circle is a dataset with a link from a class folder to its parent.
func circle(t *testing.T) string {
	t.Helper()
	root := write(t, "train/a/1", "train/b/1", "val/a/1", "val/b/1")
	if err := os.Symlink(filepath.Join(root, "train", "a"), filepath.Join(root, "train", "a", "again")); err != nil {
		t.Skip("this system makes no symbolic links")
	}
	return root
}

// fixCRC makes a PNG's header checksum right again after a change.
func fixCRC(png []byte) []byte {
	binary.BigEndian.PutUint32(png[29:], crc32.ChecksumIEEE(png[12:29]))
	return png
}
