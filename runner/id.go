package runner

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// NewID makes an id for an apply, run or lock: the time, so that ids sort and
// mean something to people, and 32 random bits: "20260102-150405-9f86d081".
func NewID(t time.Time) string {
	var b [4]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return t.UTC().Format("20060102-150405") + "-" + hex.EncodeToString(b[:])
}
