package hclspec

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Manual is spec.md: what an editor shows of a block or argument is what
// stands there.
//
//go:embed spec.md
var Manual string

// chapter is a section of the manual.
type chapter struct {
	titles  []string // check, output
	example string   // the first code block
	entries []entry
}

// entry is a bullet, a table's row or a paragraph.
type entry struct {
	text  string
	head  []string // words in the code of what the entry begins with
	words []string // words in all its code
	row   bool
	plain string // without code marks
}

var manual = sync.OnceValue(func() []chapter { return readManual(Manual) })

func readManual(text string) []chapter {
	var out []chapter
	for _, part := range regexp.MustCompile(`(?m)^##+ `).Split(text, -1)[1:] {
		title, body, _ := strings.Cut(part, "\n")
		c := chapter{titles: strings.Split(title, ", ")}
		for i, piece := range strings.Split(body, "```") {
			if i%2 == 0 {
				c.addEntries(piece)
			} else if code, ok := strings.CutPrefix(piece, "hcl\n"); ok && c.example == "" {
				c.example = code
			}
		}
		out = append(out, c)
	}
	return out
}

func (c *chapter) addEntries(text string) {
	var lines []string
	flush := func() {
		if len(lines) > 0 {
			c.entries = append(c.entries, newEntry(strings.Join(lines, " ")))
		}
		lines = nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "":
			flush()
		case strings.HasPrefix(line, "|"):
			flush()
			if !strings.HasPrefix(line, "|--") && !strings.HasPrefix(line, "| ---") {
				c.entries = append(c.entries, newRow(trimmed))
			}
		case strings.HasPrefix(line, "- "):
			flush()
			lines = append(lines, line[2:])
		default:
			lines = append(lines, trimmed)
		}
	}
	flush()
}

func newEntry(text string) entry {
	head, _, _ := strings.Cut(text, ": ")
	return entry{text: text, head: codeWords(head), words: codeWords(text), plain: strings.ReplaceAll(text, "`", "")}
}

func newRow(line string) entry {
	first, rest, _ := strings.Cut(strings.Trim(line, "| "), " | ")
	e := newEntry(first + ": " + rest)
	e.head, e.row = codeWords(first), true
	return e
}

var (
	codeSpan   = regexp.MustCompile("`[^`]+`")
	identifier = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)
)

func codeWords(text string) []string {
	var out []string
	for _, span := range codeSpan.FindAllString(text, -1) {
		out = append(out, identifier.FindAllString(span, -1)...)
	}
	return out
}

// everyStep is the title of what all steps may have.
const everyStep = "Every step"

// chapterOf is the section of a top-level block.
func chapterOf(title string) *chapter {
	all := manual()
	i := slices.IndexFunc(all, func(c chapter) bool { return slices.Contains(c.titles, title) })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// aboutBlock is the manual's example and first words on a block.
func aboutBlock(path []string) string {
	c := chapterOf(path[0])
	if c == nil {
		return ""
	}
	name := path[len(path)-1]
	if len(path) > 1 {
		if inner := chapterOf(name); inner != nil { // config
			return about(inner)
		}
		if found := c.find(name, name, ""); found != "" {
			return found
		}
		return chapterOf(everyStep).find(name, name, "")
	}
	if len(c.titles) == 1 {
		return about(c)
	}
	return c.find(name, name, "")
}

func about(c *chapter) string {
	out := ""
	if c.example != "" {
		out = "```hcl\n" + c.example + "```\n"
	}
	for _, e := range c.entries {
		if !e.row {
			return out + e.text
		}
	}
	return out
}

// aboutArgument is what the manual says of an argument: path are the block
// types around it, outermost first; label is the first label of an executor
// and the like.
func aboutArgument(path []string, label, name string) string {
	block := ""
	if len(path) > 1 {
		block = path[len(path)-1]
	}
	titles := []string{path[len(path)-1], path[0]}
	if slices.Contains(commonArguments, name) || block == retryBlock.Type {
		titles = []string{everyStep}
	}
	for _, title := range titles {
		if c := chapterOf(title); c != nil {
			if found := c.find(name, block, label); found != "" {
				return found
			}
		}
	}
	return ""
}

// find is the entry that says most of a word, within the entries on block and
// label where those are given.
func (c *chapter) find(name, block, label string) string {
	best, rank := "", 0
	for _, e := range c.entries {
		n := 0
		switch {
		case slices.Contains(e.head, name):
			n = 2
		case slices.Contains(e.words, name):
			n = 1
		default:
			continue
		}
		if block != "" && !slices.Contains(e.words, block) {
			continue
		}
		if label != "" && strings.Contains(e.plain, label) && !slices.Contains(e.words, label+"s") {
			n += 3
		}
		if n > rank || n == rank && len(e.text) > len(best) {
			best, rank = e.text, n
		}
	}
	return best
}
