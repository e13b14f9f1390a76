package hclspec

import (
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// place is where a cursor stands. It is found from tokens alone, so that it is
// known in text that does not parse yet.
type place struct {
	blocks   []opened // around the cursor, outermost first
	kind     placeKind
	header   []string // atLabel: the block's type and the labels before the cursor
	argument string   // inValue: whose value is written
	keys     []string // inValue: the keys of objects around the cursor, outermost first
	quoted   bool     // inValue and atLabel: inside quotes
	before   string   // what of the word or reference stands before the cursor
	word     [2]int   // bytes of the word at the cursor
	equals   bool     // atName: an equals sign follows, so only a name is missing
}

type opened struct {
	kind   string
	labels []string
}

type placeKind int

const (
	nowhere placeKind = iota // in a comment, a heredoc, or text that says nothing
	atName                   // a block or argument is named
	atLabel
	atKey // a key of an object is written
	inValue
)

// level is an open bracket on the way to the cursor.
type level struct {
	kind   byte // b block's body, o object, other brackets ( [ , $ template, q quotes, h heredoc
	line   []hclsyntax.Token
	key    string // of an object's entry, or the argument of a body
	valued bool   // behind the equals sign
	block  opened
}

// where finds the place of a byte of src, whose tokens these are.
func where(src []byte, tokens hclsyntax.Tokens, offset int) place {
	levels := []*level{{kind: 'b'}}
	top := func() *level { return levels[len(levels)-1] }
	pop := func(kinds string) {
		if len(levels) > 1 && strings.IndexByte(kinds, top().kind) >= 0 {
			levels = levels[:len(levels)-1]
		}
	}
	push := func(l *level) { levels = append(levels, l) }
	p := place{word: [2]int{offset, offset}}
	for i, t := range tokens {
		start, end := t.Range.Start.Byte, t.Range.End.Byte
		if start >= offset || t.Type == hclsyntax.TokenEOF {
			if (t.Type == hclsyntax.TokenIdent || isText(t.Type)) && start == offset {
				p.word[1] = end
				t = tokens[min(i+1, len(tokens)-1)]
			}
			p.equals = t.Type == hclsyntax.TokenEqual
			break
		}
		if end >= offset && (t.Type == hclsyntax.TokenIdent || isText(t.Type)) {
			p.word = [2]int{start, end}
			p.equals = tokens[min(i+1, len(tokens)-1)].Type == hclsyntax.TokenEqual
			break // the word at the cursor is not part of what leads to it
		}
		if t.Type == hclsyntax.TokenComment {
			if end > offset || end == offset && t.Bytes[len(t.Bytes)-1] != '\n' {
				return p
			}
			if t.Bytes[len(t.Bytes)-1] == '\n' {
				endLine(top())
			}
			continue
		}
		l := top()
		switch t.Type {
		case hclsyntax.TokenNewline, hclsyntax.TokenQuotedNewline:
			if l.kind == 'q' {
				pop("q")
			}
			endLine(top())
		case hclsyntax.TokenEqual, hclsyntax.TokenColon:
			if !l.valued && len(l.line) > 0 && (l.kind == 'b' || l.kind == 'o') {
				l.key, l.valued = textOf(l.line), true
				l.line = nil
			}
		case hclsyntax.TokenComma:
			if l.kind == 'o' {
				l.key, l.valued = "", false
			}
			l.line = nil
		case hclsyntax.TokenOBrace:
			if l.kind == 'b' && !l.valued && len(l.line) > 0 {
				push(&level{kind: 'b', block: header(l.line)})
			} else {
				push(&level{kind: 'o'})
			}
		case hclsyntax.TokenOBrack:
			push(&level{kind: '['})
		case hclsyntax.TokenOParen:
			push(&level{kind: '('})
		case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			push(&level{kind: '$'})
		case hclsyntax.TokenOQuote:
			l.line = append(l.line, t)
			push(&level{kind: 'q'})
		case hclsyntax.TokenOHeredoc:
			push(&level{kind: 'h'})
		case hclsyntax.TokenCBrace:
			for len(levels) > 1 && strings.IndexByte("([q", top().kind) >= 0 {
				pop("([q") // never closed
			}
			pop("bo")
			if top().kind == 'b' && !top().valued {
				top().line = nil
			}
		case hclsyntax.TokenCBrack:
			pop("[")
		case hclsyntax.TokenCParen:
			pop("(")
		case hclsyntax.TokenTemplateSeqEnd:
			pop("$")
		case hclsyntax.TokenCQuote:
			pop("q")
		case hclsyntax.TokenCHeredoc:
			pop("h")
		default:
			if l.kind == 'q' && len(levels) > 1 { // a label's or key's text belongs to what the quotes stand in
				outer := levels[len(levels)-2]
				outer.line = append(outer.line, t)
			} else {
				l.line = append(l.line, t)
			}
		}
	}
	return p.settle(src, offset, levels)
}

func isText(t hclsyntax.TokenType) bool {
	return t == hclsyntax.TokenQuotedLit || t == hclsyntax.TokenStringLit
}

// endLine begins a new argument or entry. Brackets go on over lines.
func endLine(l *level) {
	if l.kind == 'b' || l.kind == 'o' {
		l.line, l.key, l.valued = nil, "", false
	}
}

// header reads a block's type and labels.
func header(line []hclsyntax.Token) opened {
	words := wordsOf(line)
	if len(words) == 0 {
		return opened{}
	}
	return opened{words[0], words[1:]}
}

func wordsOf(line []hclsyntax.Token) []string {
	var out []string
	for _, t := range line {
		if t.Type == hclsyntax.TokenIdent || isText(t.Type) {
			out = append(out, string(t.Bytes))
		}
	}
	return out
}

func textOf(line []hclsyntax.Token) string { return strings.Join(wordsOf(line), ".") }

var (
	// reference is a reference as far as it is written: train.x["key"].metr
	referencePart = regexp.MustCompile(`(?:[\pL_][\pL\pN_-]*|\["(?:[^"\\]|\\.)*"\]|\.)+$`)
	indexPart     = regexp.MustCompile(`((?:[\pL_][\pL\pN_-]*|\.)+)\["[^"]*$`)
)

// settle tells the kind of the place from the brackets that are open there.
func (p place) settle(src []byte, offset int, levels []*level) place {
	for _, l := range levels[1:] {
		if l.kind == 'b' {
			p.blocks = append(p.blocks, l.block)
		}
	}
	l := levels[len(levels)-1]
	from := offset
	for from > 0 && src[from-1] != '\n' {
		from--
	}
	line := string(src[from:offset])
	p.before = string(src[min(p.word[0], offset):offset])
	if l.kind == 'h' {
		return p
	}
	if l.kind == 'q' {
		p.quoted = true
		l = levels[len(levels)-2]
		if p.word[0] == p.word[1] { // nothing between the quotes yet
			p.before = ""
		}
		if l.kind == 'b' && !l.valued {
			p.kind, p.header = atLabel, labelsBefore(l.line)
			return p
		}
		if index := indexPart.FindString(line); l.kind == '[' && index != "" {
			p.kind, p.before = inValue, index
			p.word[0] = offset - (len(index) - strings.LastIndexByte(index, '"') - 1)
			return p.inside(levels)
		}
	}
	switch {
	case l.kind == 'b' && !l.valued && len(l.line) == 0:
		p.kind = atName
		return p
	case l.kind == 'b' && !l.valued:
		p.kind, p.header = atLabel, labelsBefore(l.line)
		return p
	case l.kind == 'o' && !l.valued:
		p.kind = atKey
		return p.inside(levels)
	}
	p.kind = inValue
	if !p.quoted {
		p.before = referencePart.FindString(line)
	}
	return p.inside(levels)
}

// labelsBefore is a header as far as it is written, without the word at the cursor.
func labelsBefore(line []hclsyntax.Token) []string {
	if n := len(line); n > 0 && line[n-1].Type == hclsyntax.TokenOQuote {
		line = line[:n-1]
	}
	return wordsOf(line)
}

// inside notes the argument and the keys around the cursor.
func (p place) inside(levels []*level) place {
	last := 0
	for i, l := range levels {
		if l.kind == 'b' {
			last = i
		}
	}
	p.argument = levels[last].key
	for _, l := range levels[last+1:] {
		if l.kind == 'o' && l.valued {
			p.keys = append(p.keys, l.key)
		}
	}
	return p
}

// kinds are the types of the blocks around the cursor.
func (p place) kinds() []string {
	out := make([]string, len(p.blocks))
	for i, b := range p.blocks {
		out[i] = b.kind
	}
	return out
}

// spec is what the innermost block may hold; nil at the top, in unknown
// blocks and below open ones.
func (p place) spec() *blockSpec {
	if len(p.blocks) == 0 {
		return nil
	}
	s := topLevelSpec(p.blocks[0].kind)
	if choices, ok := typed[p.blocks[0].kind]; ok && len(p.blocks[0].labels) > 0 {
		s = choices[p.blocks[0].labels[0]]
	}
	for _, b := range p.blocks[1:] {
		if s == nil || s.Open {
			return nil
		}
		s = s.nested(b.kind)
	}
	return s
}

// config says that the cursor is in a train step's config, and gives the
// dotted prefix of the fields that may be named or are being set there.
func (p place) config() (prefix string, ok bool) {
	var parts []string
	kinds := p.kinds()
	switch {
	case len(kinds) > 1 && kinds[0] == "train" && kinds[1] == "config":
		parts = append(parts, kinds[2:]...)
		if p.kind == inValue || p.kind == atKey {
			parts = append(parts, p.argument)
		}
	case slices.Equal(kinds, []string{"train"}) && p.argument == "config" && (p.kind == inValue || p.kind == atKey):
	default:
		return "", false
	}
	return strings.Join(append(parts, p.keys...), "."), true
}
