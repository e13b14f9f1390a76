package hclspec

import (
	"bytes"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Bounds on source text. HCL's parser recurses over nesting and operator
// chains without a limit, so text is measured before it is parsed.
const (
	maxSource   = 1 << 20 // bytes a file
	maxTokens   = 200_000
	maxDepth    = 200
	maxChain    = 1000 // operators, dots and unary signs in one expression
	maxExponent = 308  // decimal, as in a float64
	maxDigits   = 400  // of one number
)

const summaryTooComplex = "Source is too complex"

// guard refuses text that the parser might not survive.
func guard(src []byte, filename string) hcl.Diagnostics {
	_, diags := lex(src, filename)
	return diags
}

// lex is the tokens of a text that guard lets pass.
func lex(src []byte, filename string) (hclsyntax.Tokens, hcl.Diagnostics) {
	start := hcl.Range{Filename: filename, Start: hcl.InitialPos, End: hcl.InitialPos}
	if len(src) > maxSource {
		return nil, hcl.Diagnostics{failure(start, "File is too large", "A pipeline file may have at most %d bytes. Split it, or move data out of it.", maxSource)}
	}
	if i := bytes.IndexByte(src, 0); i >= 0 {
		at := hcl.Pos{Line: 1 + bytes.Count(src[:i], []byte{'\n'}), Column: 1, Byte: i}
		return nil, hcl.Diagnostics{failure(hcl.Range{Filename: filename, Start: at, End: at}, "Invalid character",
			"The file holds a NUL byte, so it is not text. Save it as UTF-8.")}
	}
	// Lexing keeps every token, so bound them by bytes first: a token has at least one.
	tokens, _ := hclsyntax.LexConfig(src, filename, hcl.InitialPos) // problems are told by the parser
	if len(tokens) > maxTokens {
		return nil, hcl.Diagnostics{failure(tokens[maxTokens].Range, summaryTooComplex, "A file may have at most %d tokens. Split it into several files.", maxTokens)}
	}
	g := guarded{frames: []frame{{}}}
	for _, t := range tokens {
		if d := g.token(t); d != nil {
			return nil, hcl.Diagnostics{d}
		}
	}
	return tokens, nil
}

// frame is one open bracket, brace, template or heredoc.
type frame struct {
	open  hclsyntax.TokenType
	chain int // operators since the last separator
}

type guarded struct {
	frames   []frame
	control  int  // open %{ if } and %{ for } directives
	starting bool // the next identifier names a directive
}

func (g *guarded) token(t hclsyntax.Token) *hcl.Diagnostic {
	top := &g.frames[len(g.frames)-1]
	if g.starting {
		g.starting = false
		switch string(t.Bytes) {
		case "if", "for":
			g.control++
		case "endif", "endfor":
			g.control--
		}
	}
	switch t.Type {
	case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen,
		hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl,
		hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
		top.chain++ // a[0][1]… and f()()… nest as operators do
		g.frames = append(g.frames, frame{open: t.Type})
		g.starting = t.Type == hclsyntax.TokenTemplateControl
	case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen,
		hclsyntax.TokenTemplateSeqEnd, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
		if len(g.frames) > 1 {
			g.frames = g.frames[:len(g.frames)-1]
		}
	case hclsyntax.TokenComma:
		top.chain = 0
	case hclsyntax.TokenNewline:
		if top.open == 0 || top.open == hclsyntax.TokenOBrace {
			top.chain = 0
		}
	case hclsyntax.TokenNumberLit:
		return checkNumber(t)
	case hclsyntax.TokenStar, hclsyntax.TokenSlash, hclsyntax.TokenPercent, hclsyntax.TokenPlus, hclsyntax.TokenMinus,
		hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq,
		hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq, hclsyntax.TokenAnd, hclsyntax.TokenOr,
		hclsyntax.TokenBang, hclsyntax.TokenQuestion, hclsyntax.TokenDot, hclsyntax.TokenColon:
		top.chain++
	}
	if len(g.frames)+g.control > maxDepth {
		return failure(t.Range, summaryTooComplex, "Brackets, blocks and templates may nest at most %d deep. Give parts of the expression a name with locals.", maxDepth)
	}
	if top.chain > maxChain {
		return failure(t.Range, summaryTooComplex, "An expression may have at most %d operators in a row. Use sum([…]) or another function, or give parts a name with locals.", maxChain)
	}
	return nil
}

func checkNumber(t hclsyntax.Token) *hcl.Diagnostic {
	mantissa, exponent, _ := bytes.Cut(bytes.ToLower(t.Bytes), []byte("e"))
	n := 0
	if len(exponent) > 0 {
		var err error
		if n, err = strconv.Atoi(string(exponent)); err != nil {
			n = maxExponent + 1
		}
	}
	if n > maxExponent || n < -maxExponent || len(mantissa) > maxDigits {
		return failure(t.Range, "Number out of range", "Numbers may have at most %d digits and an exponent between -%d and %d.", maxDigits, maxExponent, maxExponent)
	}
	return nil
}
