package datasets_test

import (
	"encoding/binary"
	"hash/crc32"
)

// fixCRC makes a PNG's header checksum right again after a change.
func fixCRC(png []byte) []byte {
	binary.BigEndian.PutUint32(png[29:], crc32.ChecksumIEEE(png[12:29]))
	return png
}
