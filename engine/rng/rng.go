// Package rng is the engine's only source of randomness: counter-based streams
// whose values depend on nothing but (seed, purpose, counters), so that
// neither the number of workers nor a crash and resume can change a draw.
//
//	s := rng.New(seed, "augment", epoch, sampleIndex)
//	if s.Float64() < 0.5 { flip() }
package rng

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/bits"
)

// Stream yields the random numbers of one (seed, purpose, counters). It is
// not safe for concurrent use; make one where it is needed, that is cheap.
type Stream struct {
	key   [2]uint32
	high  [2]uint32 // upper half of the counter: which stream
	block uint64    // lower half: how far in it
	buf   [4]uint32
	next  int // next unused word of buf

	spare    float64 // second value of the last Box-Muller pair
	hasSpare bool
}

// New returns the stream of (seed, purpose, counters) from its beginning. All
// three are hashed with SHA-256 into a Philox key and the upper half of its
// counter, so streams of different purposes or counters are unrelated.
func New(seed uint64, purpose string, counters ...uint64) *Stream {
	var small [128]byte
	b := binary.LittleEndian.AppendUint64(small[:0], seed)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(purpose)))
	b = append(b, purpose...)
	for _, c := range counters {
		b = binary.LittleEndian.AppendUint64(b, c)
	}
	h := sha256.Sum256(b)
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(h[4*i:]) }
	return &Stream{
		key:  [2]uint32{word(0), word(1)},
		high: [2]uint32{word(2), word(3)},
		next: 4,
	}
}

// Uint32 returns 32 random bits.
func (s *Stream) Uint32() uint32 {
	if s.next == 4 {
		s.buf = philox([4]uint32{uint32(s.block), uint32(s.block >> 32), s.high[0], s.high[1]}, s.key)
		s.block++
		s.next = 0
	}
	v := s.buf[s.next]
	s.next++
	return v
}

// Uint64 returns 64 random bits.
func (s *Stream) Uint64() uint64 {
	lo := uint64(s.Uint32())
	return lo | uint64(s.Uint32())<<32
}

// Float64 returns a value in [0,1), a multiple of 2^-53.
func (s *Stream) Float64() float64 {
	return float64(s.Uint64()>>11) * 0x1p-53
}

// Uniform returns a value in [lo,hi).
func (s *Stream) Uniform(lo, hi float64) float64 {
	return lo + (hi-lo)*s.Float64()
}

// IntN returns a value in [0,n), every one equally likely; 0 for n <= 1.
// Method: D. Lemire, "Fast Random Integer Generation in an Interval" (2019).
func (s *Stream) IntN(n int) int {
	if n <= 1 {
		return 0
	}
	bound := uint64(n)
	hi, lo := bits.Mul64(s.Uint64(), bound)
	if lo < bound {
		for threshold := -bound % bound; lo < threshold; {
			hi, lo = bits.Mul64(s.Uint64(), bound)
		}
	}
	return int(hi)
}

// Normal returns a value of the standard normal distribution (Box-Muller).
func (s *Stream) Normal() float64 {
	if s.hasSpare {
		s.hasSpare = false
		return s.spare
	}
	radius := math.Sqrt(-2 * math.Log(1-s.Float64())) // 1-u lies in (0,1]
	sin, cos := math.Sincos(2 * math.Pi * s.Float64())
	s.spare, s.hasSpare = radius*sin, true
	return radius * cos
}

// Perm returns a random permutation of 0..n-1 (Fisher-Yates).
func (s *Stream) Perm(n int) []int {
	if n < 0 {
		n = 0
	}
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := s.IntN(i + 1)
		p[i], p[j] = p[j], p[i]
	}
	return p
}
