package hclspec_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
)

// in puts an expression into a pipeline.
func in(expr string) string {
	return "pipeline \"p\" {}\nlocals {\n x = " + expr + "\n}\noutput \"x\" {\n value = local.x\n}\n"
}

// doubling makes n locals, each twice the one before.
func doubling(n int, first, twice string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "pipeline \"p\" {}\nlocals {\n a0 = %s\n", first)
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, " a%d = %s\n", i, strings.ReplaceAll(twice, "X", fmt.Sprintf("local.a%d", i-1)))
	}
	fmt.Fprintf(&b, "}\noutput \"x\" {\n value = local.a%d\n}\n", n)
	return b.String()
}

func chain(n int) string {
	var b strings.Builder
	b.WriteString("pipeline \"p\" {}\nlocals {\n a0 = 1\n")
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, " a%d = local.a%d\n", i, i-1)
	}
	b.WriteString("}\n")
	return b.String()
}

func ring(n int) string {
	var b strings.Builder
	b.WriteString("pipeline \"p\" {}\nlocals {\n")
	for i := range n {
		fmt.Fprintf(&b, " a%d = local.a%d\n", i, (i+1)%n)
	}
	b.WriteString("}\n")
	return b.String()
}

func nested(n int, open, middle, end string) string {
	return strings.Repeat(open, n) + middle + strings.Repeat(end, n)
}

// hostile are texts that kill or stall a bare HCL parser or evaluator.
var hostile = map[string]string{
	"parentheses":         in(nested(75_000, "(", "1", ")")),
	"lists":               in(nested(75_000, "[", "1", "]")),
	"objects":             in(nested(60_000, "{a=", "1", "}")),
	"calls":               in(nested(60_000, "abs(", "1", ")")),
	"templates":           in(nested(40_000, "\"${", "1", "}\"")),
	"unclosed":            in(strings.Repeat("(", 75_000)),
	"blocks":              nested(75_000, "a {\n", "", "}\n"),
	"not":                 in(strings.Repeat("!", 150_000) + "true"),
	"minus":               in(strings.Repeat("-", 150_000) + "1"),
	"conditionals":        in(strings.Repeat("true ? 1 : ", 50_000) + "2"),
	"conditionals left":   in(strings.Repeat("true ? ", 50_000) + "1" + strings.Repeat(" : 2", 50_000)),
	"million terms":       in("1" + strings.Repeat("+1", 400_000)),
	"sum of terms":        in("1" + strings.Repeat("+1", 90_000)),
	"indexes":             in("local.y" + strings.Repeat("[0]", 60_000)),
	"attributes":          in("local.y" + strings.Repeat(".a", 90_000)),
	"splats":              in("[]" + strings.Repeat("[*]", 60_000)),
	"directives":          in("\"" + strings.Repeat("%{ if true }", 40_000) + strings.Repeat("%{ endif }", 40_000) + "\""),
	"exponent":            in("1e30000000"),
	"negative exponent":   in("1e-30000000"),
	"long number":         in(strings.Repeat("9", 500_000)),
	"multiplied":          in("\"${" + strings.Repeat("1e308*", 900) + "1}\""),
	"squares":             doubling(30, "1e300", "X * X") + "output \"y\" {\n value = \"${local.a30}\"\n}\n",
	"powers":              in("pow(10, 300) * pow(10, 300) * pow(10, 300) * 1"),
	"nested for":          in("[for a in range(1000): [for b in range(1000): [for c in range(1000): a]]]"),
	"for in for":          in("[for a in range(1000): [for b in range(1000): a + b]]"),
	"for over setproduct": in("[for a in setproduct(range(100), range(100)): [for b in range(1000): b]]"),
	"template loop":       in("\"%{ for a in range(1000) }%{ for b in range(1000) }xxxxxxxxxxxxxxxx%{ endfor }%{ endfor }\""),
	"doubling strings":    doubling(60, "\"xxxxxxxxxxxxxxxx\"", "\"${X}${X}\""),
	"doubling lists":      doubling(60, "[1]", "concat(X, X)"),
	"doubling tuples":     doubling(60, "[1]", "[X, X]"),
	"doubling objects":    doubling(60, "{}", "{ a = X, b = X }"),
	"chain of locals":     chain(20_000),
	"ring of locals":      ring(5_000),
	"setproduct":          in("setproduct(range(1000), range(1000), range(1000))"),
	"format width":        in("format(\"%1000000000d\", 1)"),
	"format star":         in("format(\"%0999999999.999999999f\", 1)"),
	"indent":              in("indent(1000000000, \"a\\nb\")"),
	"replace":             in("replace(join(\"\", [for i in range(1000): \"aaaaaaaaaa\"]), \"a\", join(\"\", [for i in range(1000): \"bbbbbbbbbb\"]))"),
	"regexreplace":        in("regexreplace(join(\"\", [for i in range(1000): \"aaaaaaaaaa\"]), \"(a)\", join(\"\", [for i in range(1000): \"$1$1$1$1$1\"]))"),
	"join":                in("join(join(\"\", [for i in range(1000): \"aaaaaaaaaaaaaaa\"]), range(1000))"),
	"jsondecode":          in("jsondecode(\"" + strings.Repeat("[", 400_000) + "\")"),
	"jsondecode number":   in("jsondecode(\"1e30000000\")"),
	"tonumber":            in("tonumber(\"1e30000000\")"),
	"tonumber implicit":   in("\"1e30000000\" + 1"),
	"parseint":            in("\"${parseint(\"" + strings.Repeat("z", 500_000) + "\", 36)}\""),
	"range":               in("range(1000000000)"),
	"matrix":              base("train \"t\" {\n model = model.m\n dataset = dataset.d\n epochs = 1\n matrix = {\n \"seed\" = range(1000)\n \"epochs\" = range(1, 1000)\n }\n}\n"),
	"for_each":            base("train \"t\" {\n model = model.m\n dataset = dataset.d\n epochs = 1\n for_each = { for p in setproduct(range(100), range(110)): \"k${p[0]}-${p[1]}\" => 1 }\n}\n"),
	"heredoc":             in("<<EOT\n" + strings.Repeat("x\n", 1000)),
	"NUL":                 "pipeline \"p\x00\" {}\n",
	"BOM":                 "\xef\xbb\xbfpipeline \"p\" {}\n",
	"UTF-16":              "\xff\xfep\x00i\x00p\x00",
	"invalid UTF-8":       in("\"\xff\xfe\xfd\""),
	"empty":               "",
	"many blocks":         strings.Repeat("a {}\n", 40_000),
	"many errors":         in("[" + strings.Repeat("x,", 60_000) + "]"),
	"too large":           strings.Repeat("# comment\n", 200_000),
	"regex repeat":        in("regex(\"((((a{100}){100}){100}){100})\", \"a\")"),
	"type constraint":     "pipeline \"p\" {}\nvariable \"x\" {\n type = " + nested(40_000, "list(", "any", ")") + "\n}\n",
	"deep type":           "pipeline \"p\" {}\nvariable \"x\" {\n type = " + nested(150, "list(", "any", ")") + "\n default = " + nested(150, "[", "1", "]") + "\n}\n",
}

// harmless are among them because they must load.
var harmless = map[string]bool{"deep type": true, "BOM": true}

// cpu is the processor time that this process has used: what other processes
// do on the machine must not fail the test.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestHostileTexts: each ends in diagnostics within 3 seconds.
func TestHostileTexts(t *testing.T) {
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			started := cpu()
			opts := planOptions()
			opts.Sources = []pipelines.Source{{Filename: "main.hcl", Text: []byte(text)}}
			_, files, diags := hclspec.Load(t.Context(), ".", opts)
			loaded := cpu() - started
			var out bytes.Buffer
			hclspec.WriteText(&out, files, diags, hclspec.TextOptions{})
			hclspec.WriteJSON(&out, files, diags)
			took := cpu() - started
			if took > 3*time.Second {
				t.Errorf("took %s (load %s)", took, loaded)
			}
			if diags.HasErrors() == harmless[name] {
				t.Errorf("errors: %v", diags)
			}
			if out.Len() > 20<<20 {
				t.Errorf("%d bytes of output", out.Len())
			}
			for _, d := range diags {
				if strings.Contains(d.Summary, "Internal") {
					t.Errorf("%s", d.Detail)
				}
			}
			if testing.Verbose() && len(diags) > 0 {
				t.Logf("%s: %s: %.120s", took, diags[0].Summary, diags[0].Detail)
			}
			if len(diags) > 0 && diags[0].Summary == "Source is too complex" {
				return // refused before anything is formatted, too
			}
			if _, diags := hclspec.Format([]byte(text), "main.hcl"); cpu()-started-took > 3*time.Second {
				t.Errorf("formatting took %s %v", cpu()-started-took, diags)
			}
		})
	}
}

func TestFoldersThatAreNoPipelines(t *testing.T) {
	dir := t.TempDir()
	load := func() hcl.Diagnostics {
		_, _, diags := hclspec.Load(t.Context(), dir, validateOptions())
		return diags
	}
	if d := load(); len(d) != 1 || d[0].Summary != "No pipeline files" {
		t.Error(d)
	}
	if _, _, d := hclspec.Load(t.Context(), filepath.Join(dir, "nowhere"), validateOptions()); len(d) != 1 || d[0].Summary != "Cannot read pipeline files" {
		t.Error(d)
	}
	os.Mkdir(filepath.Join(dir, "folder.hcl"), 0o755)
	if d := load(); len(d) != 1 || !strings.Contains(d[0].Detail, "not a regular file") {
		t.Error(d)
	}
}
