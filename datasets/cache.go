package datasets

import (
	"crypto/sha256"
	"encoding/gob"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// cacheVersion changes whenever facts of the same content could differ.
const cacheVersion = 1

// cacheDays is how long an entry that nobody used stays.
const cacheDays = 90

// cache remembers facts by path and by content. Losing it costs time only, so
// a file that cannot be read or written is passed over.
type cache struct {
	mu        sync.Mutex
	opened    bool
	changed   bool
	entries   map[string]entry
	byContent map[[sha256.Size]byte]facts
}

// entry are the facts of a path, valid while its stamp is the same.
type entry struct {
	Stamp stamp
	Facts facts
	Day   int64 // of last use, counted from 1970
}

// stamp changes when a file is written, replaced or moved.
type stamp struct {
	Size, ModTime, Inode int64
}

func stampOf(info os.FileInfo) stamp {
	s := stamp{Size: info.Size(), ModTime: info.ModTime().UnixNano()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.Inode = int64(sys.Ino)
	}
	return s
}

// stored is the cache file.
type stored struct {
	Version int
	Entries map[string]entry
}

// examine returns the facts of the file at path.
func (c *cache) examine(path string) facts {
	info, err := os.Stat(path)
	if err != nil {
		return unreadable(err)
	}
	if !info.Mode().IsRegular() {
		return facts{Kind: fileUnreadable, Problem: "not a regular file"}
	}
	now := time.Now()
	at, day := stampOf(info), now.Unix()/86400
	c.mu.Lock()
	e, ok := c.entries[path]
	if ok && e.Stamp == at {
		if e.Day != day {
			e.Day, c.changed = day, true
			c.entries[path] = e
		}
		c.mu.Unlock()
		return e.Facts
	}
	c.mu.Unlock()

	f := readFacts(path, c.content)
	if f.Kind == fileUnreadable {
		return f
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byContent[f.SHA256] = f
	// A file written just now may be written again within the same tick of its
	// clock, which the stamp would not show.
	if now.Sub(info.ModTime()) > 2*time.Second {
		c.entries[path] = entry{Stamp: at, Facts: f, Day: day}
		c.changed = true
	}
	return f
}

func (c *cache) content(sum [sha256.Size]byte) (facts, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.byContent[sum]
	return f, ok
}

// open reads the cache file once.
func (c *cache) open(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened {
		return
	}
	c.opened = true
	c.entries = readCache(path)
	c.byContent = make(map[[sha256.Size]byte]facts, len(c.entries))
	for _, e := range c.entries {
		c.byContent[e.Facts.SHA256] = e.Facts
	}
}

func readCache(path string) map[string]entry {
	none := map[string]entry{}
	if path == "" {
		return none
	}
	f, err := os.Open(path)
	if err != nil {
		return none
	}
	defer f.Close()
	var s stored
	if err := gob.NewDecoder(f).Decode(&s); err != nil || s.Version != cacheVersion || s.Entries == nil {
		return none
	}
	return s.Entries
}

// save replaces the cache file, keeping what another process added.
func (c *cache) save(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if path == "" || !c.changed {
		return
	}
	s := stored{Version: cacheVersion, Entries: readCache(path)}
	for p, e := range c.entries {
		s.Entries[p] = e
	}
	oldest := time.Now().Unix()/86400 - cacheDays
	for p, e := range s.Entries {
		if e.Day < oldest {
			delete(s.Entries, p)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".datasets-*")
	if err != nil {
		return
	}
	defer os.Remove(f.Name()) // gone already when all went well
	err = gob.NewEncoder(f).Encode(s)
	if closeErr := f.Close(); err == nil && closeErr == nil && os.Rename(f.Name(), path) == nil {
		c.changed = false
	}
}
