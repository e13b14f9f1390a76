package lsp

import (
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"
)

// TestEditsAreThoseOfTheEditor: whatever is typed where, the text is the
// editor's, which counts UTF-16 units.
func TestEditsAreThoseOfTheEditor(t *testing.T) {
	piece := rapid.SampledFrom([]string{"a", "값", "😀", "é", "e\u0301", "\n", "\r\n", "x = 1\n", "\"한글 👩‍👩‍👧\"", ""})
	rapid.Check(t, func(t *rapid.T) {
		ours := newText(strings.Join(rapid.SliceOf(piece).Draw(t, "text"), ""))
		theirs := utf16.Encode([]rune(ours.src))
		for range rapid.IntRange(1, 8).Draw(t, "edits") {
			from := rapid.IntRange(0, len(theirs)).Draw(t, "from")
			to := rapid.IntRange(from, len(theirs)).Draw(t, "to")
			from, to = boundary(theirs, from), boundary(theirs, to)
			insert := strings.Join(rapid.SliceOfN(piece, 0, 3).Draw(t, "insert"), "")
			ours = ours.change(contentChange{Range: &Range{placeIn(theirs, from), placeIn(theirs, to)}, Text: insert})
			theirs = append(append(append([]uint16{}, theirs[:from]...), utf16.Encode([]rune(insert))...), theirs[to:]...)
			if want := string(utf16.Decode(theirs)); ours.src != want {
				t.Fatalf("%q, want %q", ours.src, want)
			}
		}
		for i := range theirs { // and back
			if i = boundary(theirs, i); ours.position(ours.offset(placeIn(theirs, i))) != placeIn(theirs, i) {
				t.Fatalf("%q at %d: %+v", ours.src, i, placeIn(theirs, i))
			}
		}
	})
}

// boundary moves a place out of a surrogate pair or a line's end of two characters.
func boundary(s []uint16, i int) int {
	if i > 0 && i < len(s) && (utf16.IsSurrogate(rune(s[i])) && s[i] >= 0xdc00 || s[i-1] == '\r' && s[i] == '\n') {
		return i - 1
	}
	return i
}

func placeIn(s []uint16, i int) Position {
	p := Position{}
	for k, u := range s[:i] {
		if u == '\n' || u == '\r' && (k+1 == len(s) || s[k+1] != '\n') {
			p = Position{Line: p.Line + 1}
		} else {
			p.Character++
		}
	}
	return p
}

func TestPositionsOutsideTheText(t *testing.T) {
	text := newText("ab\n😀c\n")
	for p, want := range map[Position]int{
		{Line: -1}: 0, {Line: 9}: 9, {Line: 0, Character: 99}: 2, {Line: 1, Character: 1}: 3, {Line: 1, Character: 2}: 7, {Line: 2, Character: 5}: 9,
	} {
		if got := text.offset(p); got != want {
			t.Errorf("%+v is byte %d, want %d", p, got, want)
		}
	}
	if got := text.position(1000); got != (Position{Line: 2}) {
		t.Errorf("beyond the end: %+v", got)
	}
}

func TestDifferenceIsSmallAndRight(t *testing.T) {
	line := rapid.SampledFrom([]string{"a = 1\n", "b  =  2\n", "값 = \"😀\"\n", "\n", "}\n", "x"})
	rapid.Check(t, func(t *rapid.T) {
		a, b := strings.Join(rapid.SliceOf(line).Draw(t, "a"), ""), strings.Join(rapid.SliceOf(line).Draw(t, "b"), "")
		got := newText(a)
		for _, e := range difference(a, b) {
			got = got.change(contentChange{Range: &e.Range, Text: e.NewText})
		}
		if got.src != b {
			t.Fatalf("%q to %q: got %q", a, b, got.src)
		}
	})
	edits := difference("a\nb  = 1\nc\n", "a\nb = 1\nc\n")
	if len(edits) != 1 || edits[0].Range != (Range{Position{1, 0}, Position{1, 6}}) && edits[0].Range != (Range{Position{1, 0}, Position{2, 0}}) {
		t.Errorf("%+v", edits)
	}
}
