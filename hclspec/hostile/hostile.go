// Package hostile holds texts that whoever reads pipelines must survive. Tests
// of the language and of the server share them.
package hostile

import (
	"fmt"
	"strings"
)

// with puts a block into a pipeline that has a dataset and a model.
func with(block string) string {
	return "pipeline \"t\" {}\ndataset \"d\" {\n format = \"imagefolder\"\n path = \"data\"\n}\nmodel \"m\" {\n name = \"convnet\"\n}\n" + block
}

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

// Texts kill or stall a bare HCL parser or evaluator.
var Texts = map[string]string{
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
	"matrix":              with("train \"t\" {\n model = model.m\n dataset = dataset.d\n epochs = 1\n matrix = {\n \"seed\" = range(1000)\n \"epochs\" = range(1, 1000)\n }\n}\n"),
	"for_each":            with("train \"t\" {\n model = model.m\n dataset = dataset.d\n epochs = 1\n for_each = { for p in setproduct(range(100), range(110)): \"k${p[0]}-${p[1]}\" => 1 }\n}\n"),
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

// Harmless are among them because they must load.
var Harmless = map[string]bool{"deep type": true, "BOM": true}
