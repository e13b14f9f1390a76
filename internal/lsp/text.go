package lsp

import (
	"sort"
	"unicode/utf8"
)

// text is a file with its lines, for going between bytes and the protocol's
// positions, which count UTF-16 units.
type text struct {
	src   string
	lines []int // byte at which each line begins
}

func newText(src string) *text {
	t := &text{src: src, lines: []int{0}}
	for i := 0; i < len(src); i++ {
		switch {
		case src[i] == '\n', src[i] == '\r' && (i+1 == len(src) || src[i+1] != '\n'):
			t.lines = append(t.lines, i+1)
		}
	}
	return t
}

// units is how many UTF-16 units a character takes.
func units(r rune) int {
	if r >= 0x10000 {
		return 2
	}
	return 1
}

// offset is the byte at a position. Positions beyond a line or the text mean
// its end.
func (t *text) offset(p Position) int {
	if p.Line < 0 {
		return 0
	}
	if p.Line >= len(t.lines) {
		return len(t.src)
	}
	i, n := t.lines[p.Line], 0
	for i < len(t.src) && t.src[i] != '\n' && t.src[i] != '\r' {
		r, size := utf8.DecodeRuneInString(t.src[i:])
		if n+units(r) > p.Character { // also in the middle of a pair
			break
		}
		n += units(r)
		i += size
	}
	return i
}

// position is where a byte stands.
func (t *text) position(offset int) Position {
	offset = max(0, min(offset, len(t.src)))
	line := sort.SearchInts(t.lines, offset+1) - 1
	n := 0
	for i := t.lines[line]; i < offset; {
		r, size := utf8.DecodeRuneInString(t.src[i:])
		n += units(r)
		i += size
	}
	return Position{Line: line, Character: n}
}

func (t *text) between(from, to int) Range {
	return Range{Start: t.position(from), End: t.position(max(from, to))}
}

// change applies an editor's edit.
func (t *text) change(c contentChange) *text {
	if c.Range == nil {
		return newText(c.Text)
	}
	from, to := t.offset(c.Range.Start), t.offset(c.Range.End)
	if to < from {
		from, to = to, from
	}
	return newText(t.src[:from] + c.Text + t.src[to:])
}

// difference is the edit that makes b of a: the lines in between those that
// both begin and end with.
func difference(a, b string) []TextEdit {
	if a == b {
		return nil
	}
	start := 0
	for i := 0; i < min(len(a), len(b)) && a[i] == b[i]; i++ {
		if a[i] == '\n' {
			start = i + 1
		}
	}
	end := 0
	for i := 1; i <= min(len(a), len(b))-start && a[len(a)-i] == b[len(b)-i]; i++ {
		if a[len(a)-i] == '\n' {
			end = i - 1
		}
	}
	return []TextEdit{{Range: newText(a).between(start, len(a)-end), NewText: b[start : len(b)-end]}}
}
