package data

import "sync/atomic"

// cache keeps the transformed pictures of the first samples that fit.
type cache struct {
	size  int // bytes of one picture
	slab  []byte
	state []atomic.Uint32
}

const (
	empty uint32 = iota
	filling
	full
)

// newCache reserves room for up to n pictures within budget bytes; the system
// hands out the memory only as it is used.
func newCache(n, size int, budget int64) *cache {
	n = int(min(int64(n), max(budget, 0)/int64(size)))
	return &cache{size: size, slab: make([]byte, n*size), state: make([]atomic.Uint32, n)}
}

func (c *cache) capacity() int { return len(c.state) }

// get copies picture i into dst when it is there.
func (c *cache) get(i int, dst []byte) bool {
	if i >= len(c.state) || c.state[i].Load() != full {
		return false
	}
	copy(dst, c.slab[i*c.size:(i+1)*c.size])
	return true
}

// put keeps a copy of picture i when there is room.
func (c *cache) put(i int, src []byte) {
	if i < len(c.state) && c.state[i].CompareAndSwap(empty, filling) {
		copy(c.slab[i*c.size:(i+1)*c.size], src)
		c.state[i].Store(full)
	}
}
