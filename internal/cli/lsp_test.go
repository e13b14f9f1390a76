package cli_test

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/creachadair/jrpc2"
	"github.com/creachadair/jrpc2/channel"
)

// editor drives `runner lsp` over its standard input and output, as an editor does.
type editor struct {
	t     testing.TB
	dir   string
	cmd   *exec.Cmd
	rpc   *jrpc2.Client
	told  chan told
	texts map[string]string // as the editor shows them
	ver   map[string]int
	last  map[string][]problem
}

type told struct {
	URI         string    `json:"uri"`
	Version     int       `json:"version"`
	Diagnostics []problem `json:"diagnostics"`
}

type problem struct {
	Range    lspRange `json:"range"`
	Severity int      `json:"severity"`
	Message  string   `json:"message"`
}

type lspPosition struct {
	Line      int `json:"line"`
	Character int `json:"character"`
}

type lspRange struct {
	Start lspPosition `json:"start"`
	End   lspPosition `json:"end"`
}

type object map[string]any

func newEditor(t testing.TB, snippets bool) *editor {
	t.Helper()
	cmd := exec.Command("runner", "lsp", "--stdio")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := &editor{t: t, dir: t.TempDir(), cmd: cmd, told: make(chan told, 1000), texts: map[string]string{}, ver: map[string]int{}, last: map[string][]problem{}}
	e.rpc = jrpc2.NewClient(channel.LSP(out, in), &jrpc2.ClientOptions{
		OnNotify: func(r *jrpc2.Request) {
			var p told
			if r.Method() == "textDocument/publishDiagnostics" && r.UnmarshalParams(&p) == nil {
				e.told <- p
			}
		},
		OnCallback: func(context.Context, *jrpc2.Request) (any, error) { return nil, nil },
	})
	t.Cleanup(func() { _ = cmd.Process.Kill(); _, _ = cmd.Process.Wait() })
	var found struct {
		Capabilities struct {
			PositionEncoding string
			TextDocumentSync struct{ Change int }
		}
	}
	e.call("initialize", object{"processId": os.Getpid(), "rootUri": e.uri(""), "capabilities": object{
		"textDocument": object{"completion": object{"completionItem": object{"snippetSupport": snippets}}},
		"workspace":    object{"didChangeWatchedFiles": object{"dynamicRegistration": true}},
	}}, &found)
	if found.Capabilities.PositionEncoding != "utf-16" || found.Capabilities.TextDocumentSync.Change != 2 {
		t.Fatalf("%+v", found)
	}
	e.notify("initialized", object{})
	return e
}

func (e *editor) uri(name string) string {
	return (&url.URL{Scheme: "file", Path: filepath.Join(e.dir, name)}).String()
}

func (e *editor) call(method string, params, result any) {
	e.t.Helper()
	if err := e.try(method, params, result); err != nil {
		e.t.Fatalf("%s: %v", method, err)
	}
}

func (e *editor) try(method string, params, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := e.rpc.Call(ctx, method, params)
	if err != nil || result == nil {
		return err
	}
	return r.UnmarshalResult(result)
}

func (e *editor) notify(method string, params any) {
	e.t.Helper()
	if err := e.rpc.Notify(context.Background(), method, params); err != nil {
		e.t.Fatalf("%s: %v", method, err)
	}
}

func (e *editor) open(name, text string) {
	e.t.Helper()
	e.texts[name], e.ver[name] = text, 1
	e.notify("textDocument/didOpen", object{"textDocument": object{"uri": e.uri(name), "languageId": "trainwright", "version": 1, "text": text}})
}

// replace types over the first occurrence of old.
func (e *editor) replace(name, old, text string) {
	e.t.Helper()
	at := strings.Index(e.texts[name], old)
	if at < 0 {
		e.t.Fatalf("%q is not in %s", old, name)
	}
	r := lspRange{position(e.texts[name], at), position(e.texts[name], at+len(old))}
	e.texts[name] = e.texts[name][:at] + text + e.texts[name][at+len(old):]
	e.ver[name]++
	e.notify("textDocument/didChange", object{"textDocument": object{"uri": e.uri(name), "version": e.ver[name]},
		"contentChanges": []object{{"range": r, "text": text}}})
}

// position is where a byte stands, in UTF-16 units.
func position(text string, offset int) lspPosition {
	before := text[:offset]
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return lspPosition{strings.Count(before, "\n"), len(utf16.Encode([]rune(line)))}
}

// at is the position behind a piece of a text.
func (e *editor) at(name, piece string) object {
	e.t.Helper()
	i := strings.Index(e.texts[name], piece)
	if i < 0 {
		e.t.Fatalf("%q is not in %s", piece, name)
	}
	return object{"textDocument": object{"uri": e.uri(name)}, "position": position(e.texts[name], i+len(piece)), "context": object{"includeDeclaration": true}}
}

// problems waits for what the server tells of the texts as they are now.
func (e *editor) problems(name string) []problem {
	e.t.Helper()
	return e.until(name, func(p told) bool { return p.Version == e.ver[name] })
}

func (e *editor) until(name string, enough func(told) bool) []problem {
	e.t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case p := <-e.told:
			if p.URI == e.uri(name) && enough(p) {
				return p.Diagnostics
			}
		case <-deadline:
			e.t.Fatalf("nothing was told of %s", name)
		}
	}
}

type item struct {
	Label            string
	Kind             int
	Detail           string
	InsertTextFormat int
	TextEdit         struct {
		Range   lspRange
		NewText string
	}
	Documentation struct{ Kind, Value string }
}

func (e *editor) complete(name, behind string) []item {
	e.t.Helper()
	var list struct{ Items []item }
	e.call("textDocument/completion", e.at(name, behind), &list)
	return list.Items
}

func labels(items []item) []string {
	var out []string
	for _, i := range items {
		out = append(out, i.Label)
	}
	return out
}

// quit ends the server as the protocol says, and returns its exit code.
func (e *editor) quit() int {
	e.t.Helper()
	e.call("shutdown", nil, nil)
	e.notify("exit", nil)
	ended := make(chan struct{})
	go func() { _ = e.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		e.t.Fatal("the server goes on after exit")
	}
	return e.cmd.ProcessState.ExitCode()
}

const declared = `pipeline "꽃" {
  description = "꽃 분류기 🌷"
}

dataset "flowers" {
  format = "imagefolder"
  path   = "data"
}

model "resnet" {
  adapter = "native"
  name    = "resnet18"
}
`

const training = `# 학습 😀
train "base" {
  model   = model.resnet
  dataset = dataset.flowers
  epochs  = 3
  config {
    /* 😀 */
    optimizer {
      type = "adamw"
    }
  }
}
`

// TestEditorSession is a pipeline being written in two files that were never saved.
func TestEditorSession(t *testing.T) {
	t.Parallel()
	e := newEditor(t, false)
	e.open("main.hcl", strings.Replace(declared, "꽃\" {", "flowers\" {", 1))
	e.open("train.hcl", training)
	if got := e.problems("train.hcl"); len(got) != 0 {
		t.Fatalf("a pipeline in two texts: %+v", got)
	}

	// what is wrong stands at its place, counted as the editor counts
	e.replace("train.hcl", `/* 😀 */`, `/* 😀 값 */ mixed_precisoin = true`)
	got := e.problems("train.hcl")
	if len(got) != 1 || !strings.Contains(got[0].Message, `Did you mean "mixed_precision"?`) || got[0].Severity != 1 {
		t.Fatalf("%+v", got)
	}
	at := strings.Index(e.texts["train.hcl"], "mixed_precisoin")
	if want := (lspRange{position(e.texts["train.hcl"], at), position(e.texts["train.hcl"], at+len("mixed_precisoin"))}); got[0].Range != want || want.Start.Character != 15 {
		t.Errorf("at %+v, want %+v", got[0].Range, want)
	}
	e.replace("train.hcl", "mixed_precisoin = true", "")

	// a name that goes away in one file is missed in the other
	e.replace("main.hcl", `"resnet" {`, `"other" {`)
	if got := e.until("train.hcl", func(p told) bool { return len(p.Diagnostics) > 0 }); !strings.Contains(got[0].Message, `No model "resnet" is declared`) {
		t.Errorf("%+v", got)
	}
	e.replace("main.hcl", `"other" {`, `"resnet" {`)
	e.until("train.hcl", func(p told) bool { return p.Version == e.ver["train.hcl"] && len(p.Diagnostics) == 0 })

	// completion, where the text does not parse and behind an emoji
	e.replace("train.hcl", `/* 😀 값 */`, "/* 😀 */ optimizer { ty")
	items := e.complete("train.hcl", "optimizer { ty")
	if i := slices.Index(labels(items), "type"); i < 0 {
		t.Errorf("%q", labels(items))
	} else if x := items[i]; x.TextEdit.NewText != "type = " || x.TextEdit.Range.Start.Character != 25 || x.TextEdit.Range.End.Character != 27 ||
		x.InsertTextFormat != 1 || !strings.Contains(x.Documentation.Value, "option `adamw`") {
		t.Errorf("%+v", x)
	}
	e.replace("train.hcl", "/* 😀 */ optimizer { ty", "")
	e.replace("train.hcl", "model.resnet", "model.")
	if got := labels(e.complete("train.hcl", "= model.")); !slices.Equal(got, []string{"resnet"}) {
		t.Errorf("%q", got)
	}
	e.replace("train.hcl", "= model.", "= model.resnet")

	// hover, definition, references
	var hover struct {
		Contents struct{ Value string }
		Range    lspRange
	}
	e.call("textDocument/hover", e.at("train.hcl", "\n      ty"), &hover)
	if !strings.Contains(hover.Contents.Value, "a change on resume: reset") || hover.Range.End.Character != 10 {
		t.Errorf("%+v", hover)
	}
	var places []struct {
		URI   string
		Range lspRange
	}
	e.call("textDocument/definition", e.at("train.hcl", "model.res"), &places)
	if len(places) != 1 || places[0].URI != e.uri("main.hcl") || places[0].Range.Start.Line != 9 {
		t.Errorf("%+v", places)
	}
	e.call("textDocument/references", e.at("train.hcl", "dataset.flow"), &places)
	if len(places) != 2 {
		t.Errorf("%+v", places)
	}
	var symbols []struct{ Name string }
	e.call("textDocument/documentSymbol", e.at("main.hcl", "pipe"), &symbols)
	if len(symbols) != 3 || symbols[2].Name != `model "resnet"` {
		t.Errorf("%+v", symbols)
	}

	// formatting is that of fmt
	e.replace("train.hcl", "  model   = ", "  model  =    ")
	var edits []struct {
		Range   lspRange
		NewText string
	}
	e.call("textDocument/formatting", e.at("train.hcl", "train"), &edits)
	fmtCmd := exec.Command("runner", "fmt", "-")
	fmtCmd.Stdin = strings.NewReader(e.texts["train.hcl"])
	want, err := fmtCmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := apply(e.texts["train.hcl"], edits[0].Range, edits[0].NewText); len(edits) != 1 || got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	e.replace("train.hcl", "train \"base\" {", "train \"base\" {{")
	e.call("textDocument/formatting", e.at("train.hcl", "train"), &edits)
	if len(edits) != 0 {
		t.Errorf("broken text is laid out: %+v", edits)
	}
	if code := e.quit(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func apply(text string, r lspRange, insert string) string {
	offset := func(p lspPosition) int {
		for i := range len(text) + 1 {
			if position(text, i) == p {
				return i
			}
		}
		return len(text)
	}
	return text[:offset(r.Start)] + insert + text[offset(r.End):]
}

// TestEditorSeesTheDisk: files that are not open count, also when they change.
func TestEditorSeesTheDisk(t *testing.T) {
	t.Parallel()
	e := newEditor(t, true)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(e.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("main.hcl", strings.Replace(declared, "꽃\" {", "flowers\" {", 1))
	e.open("train.hcl", training)
	if got := e.problems("train.hcl"); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	write("main.hcl", "pipeline \"flowers\" {\n  nonsense = 1\n}\n")
	e.notify("workspace/didChangeWatchedFiles", object{"changes": []object{{"uri": e.uri("main.hcl"), "type": 2}}})
	if got := e.until("main.hcl", func(p told) bool { return len(p.Diagnostics) > 0 }); got[0].Range.Start != (lspPosition{1, 2}) {
		t.Errorf("%+v", got)
	}
	items := e.complete("train.hcl", "# 학습 😀\n")
	if i := slices.Index(labels(items), "train"); i < 0 || items[i].InsertTextFormat != 2 || !strings.Contains(items[i].TextEdit.NewText, "epochs  = ${4}") {
		t.Errorf("%+v", items)
	}
	// a test file is checked for its syntax only
	e.open("x.rtest.hcl", "run \"a\" {")
	if got := e.problems("x.rtest.hcl"); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	if got := e.complete("x.rtest.hcl", "run"); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestEditorSurvivesAnything: hostile texts are told as diagnostics, and a
// child that dies is started again.
func TestEditorSurvivesAnything(t *testing.T) {
	t.Parallel()
	e := newEditor(t, false)
	e.open("main.hcl", declared)
	e.problems("main.hcl")
	for name, text := range map[string]string{
		"deep":     "locals {\n x = " + strings.Repeat("(", 75000) + "\n}",
		"blocks":   strings.Repeat("a {", 100_000),
		"number":   "locals {\n x = 1e30000000\n}",
		"sum":      "locals {\n x = 1" + strings.Repeat(" + 1", 100_000) + "\n}",
		"loops":    "locals {\n x = [for a in range(10000): [for b in range(10000): [for c in range(10000): a]]]\n}",
		"product":  "locals {\n x = setproduct(range(1000), range(1000), range(1000))\n}",
		"binary":   "\x00\x01\xff\xfe",
		"heredoc":  "locals {\n x = <<E\n",
		"template": "locals {\n x = \"" + strings.Repeat("${", 5000) + "\n}",
		"too long": strings.Repeat("# 값\n", 400_000),
		"regex":    "locals {\n x = regex(\"((((a{100}){100}){100}){100})\", \"a\")\n}",
	} {
		e.open("bad.hcl", text)
		if got := e.problems("bad.hcl"); len(got) == 0 {
			t.Errorf("%s: nothing is wrong", name)
		}
		for _, method := range []string{"completion", "hover", "definition", "references", "documentSymbol", "formatting"} {
			where := e.at("bad.hcl", text[:len(text)/2])
			if err := e.try("textDocument/"+method, where, nil); err != nil {
				t.Errorf("%s: %s: %v", name, method, err)
			}
		}
		e.notify("textDocument/didClose", object{"textDocument": object{"uri": e.uri("bad.hcl")}})
	}
	for _, pid := range children(t, e.cmd.Process.Pid) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	e.replace("main.hcl", `name    = "resnet18"`, `name    = ""`)
	if got := e.problems("main.hcl"); len(got) == 0 {
		t.Error("nothing is wrong with a model without a name")
	}
	if got := labels(e.complete("main.hcl", `name    = "`)); !slices.Contains(got, "resnet18") {
		t.Errorf("%q", got)
	}
	// nonsense in the protocol
	if err := e.try("textDocument/completion", object{"textDocument": object{"uri": "file:///nowhere.hcl"}, "position": lspPosition{1, 1}}, nil); err == nil {
		t.Error("a text that is not open can be asked about")
	}
	if err := e.try("textDocument/none", object{}, nil); err == nil {
		t.Error("there is a method none")
	}
	e.notify("textDocument/didChange", object{"textDocument": object{"uri": "file:///nowhere.hcl", "version": 3}, "contentChanges": []object{{"text": "x"}}})
	e.notify("textDocument/didChange", object{"textDocument": object{"uri": e.uri("main.hcl"), "version": 99}, "contentChanges": []object{
		{"range": lspRange{lspPosition{500, 3}, lspPosition{-1, -7}}, "text": "# 끝"}}})
	e.ver["main.hcl"] = 99
	e.problems("main.hcl")
	if code := e.quit(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func children(t *testing.T, pid int) []int {
	t.Helper()
	var out []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task) // a thread may be gone
		for _, field := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(field); err == nil {
				out = append(out, n)
			}
		}
	}
	if len(out) == 0 {
		t.Skip("the kernel lists no children of processes")
	}
	return out
}

// TestEditorThatVanishes: without its editor the server ends, and so do its children.
func TestEditorThatVanishes(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("runner", "lsp")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const first = `{"jsonrpc":"2.0","id":1,"method":"textDocument/hover","params":{}}`
	if _, err := io.WriteString(in, fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(first), first)); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v", err)
	}
}

// BenchmarkEditor measures a completion, and a check, in a pipeline of 1,000 blocks.
func BenchmarkEditor(b *testing.B) {
	var text strings.Builder
	text.WriteString(strings.Replace(declared, "꽃\" {", "flowers\" {", 1))
	for i := range 332 {
		fmt.Fprintf(&text, "\ntrain \"t%d\" {\n  model      = model.resnet\n  dataset    = dataset.flowers\n  epochs     = 5\n  batch_size = 64\n  preset     = \"standard\"\n  config {\n    optimizer {\n      type         = \"adamw\"\n      weight_decay = 0.01 * %d / 1000\n    }\n  }\n}\n", i, i%100)
		fmt.Fprintf(&text, "\nevaluate \"e%d\" {\n  checkpoint = train.t%d.best\n  dataset    = dataset.flowers\n}\n\ncheck \"c%d\" {\n  condition     = evaluate.e%d.metrics.accuracy > 0.9\n  error_message = \"too low\"\n}\n", i, i, i, i)
	}
	text.WriteString("\noutput \"x\" {\n  value = train.t7.\n}\n")
	e := newEditor(b, false)
	e.open("main.hcl", text.String())
	e.problems("main.hcl")
	b.Run("completion", func(b *testing.B) {
		for b.Loop() {
			if items := e.complete("main.hcl", "value = train.t7."); len(items) == 0 {
				b.Fatal("nothing to complete")
			}
		}
	})
	e.replace("main.hcl", "train.t7.", "train.t7.run_id")
	b.Run("edit-to-diagnostics", func(b *testing.B) { // with the pause for the next key
		for b.Loop() {
			e.replace("main.hcl", "batch_size = 64", "batch_size = 65")
			e.replace("main.hcl", "batch_size = 65", "batch_size = 64")
			e.problems("main.hcl")
		}
	})
}
