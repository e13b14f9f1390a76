// The grammar over real pipelines: it loads, and words get the scopes that themes colour.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const oniguruma = require("vscode-oniguruma");
const textmate = require("vscode-textmate");

const here = fileURLToPath(new URL("..", import.meta.url));
const wasm = readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm"));
await oniguruma.loadWASM(wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength));
const registry = new textmate.Registry({
  onigLib: Promise.resolve({ createOnigScanner: (p) => new oniguruma.OnigScanner(p), createOnigString: (s) => new oniguruma.OnigString(s) }),
  loadGrammar: async () => textmate.parseRawGrammar(readFileSync(join(here, "syntaxes/hcl.tmLanguage.json"), "utf8"), "hcl.json"),
});
const grammar = await registry.loadGrammar("source.hcl");

/** scopes lists [word, scopes] of a text, and how deep it leaves the grammar. */
function scopes(text) {
  const out = [];
  let stack = textmate.INITIAL;
  for (const line of text.split("\n")) {
    const r = grammar.tokenizeLine(line, stack);
    for (const t of r.tokens) out.push([line.slice(t.startIndex, t.endIndex), t.scopes]);
    stack = r.ruleStack;
  }
  return { out, depth: stack.depth };
}

test("words get their scopes", () => {
  const { out } = scopes(`train "base" { # 학습
  epochs = max(var.n, 3e2)
  name   = "a \${model.x.name} 😀"
  on     = true
  config {
    optimizer {
      type = "adamw"
    }
  }
}
locals {
  값 = <<END
text
END
  next = null
}`);
  const has = (word, scope) => assert.ok(out.some(([w, s]) => w.trim() === word && s.includes(scope)), `${word} is not ${scope}: ${JSON.stringify(out.filter(([w]) => w.includes(word)))}`);
  has("train", "entity.name.type.hcl");
  has("optimizer", "entity.name.type.hcl");
  has('"base"', "string.quoted.double.label.hcl");
  has("# 학습", "comment.line.number-sign.hcl");
  has("epochs", "variable.other.property.hcl");
  has("max", "support.function.hcl");
  has("var", "variable.language.hcl");
  has("3e2", "constant.numeric.hcl");
  has("model", "meta.embedded.hcl");
  has("true", "constant.language.hcl");
  has("값", "variable.other.property.hcl");
  has("text", "string.unquoted.heredoc.hcl");
  has("null", "constant.language.hcl");
});

test("every example ends outside all blocks", () => {
  const examples = join(here, "../../examples");
  const { depth } = scopes("");
  let n = 0;
  for (const name of readdirSync(examples, { recursive: true })) {
    if (!name.endsWith(".hcl") || name.includes(".runner")) continue;
    n++;
    assert.equal(scopes(readFileSync(join(examples, name), "utf8")).depth, depth, name);
  }
  assert.ok(n > 5, `only ${n} examples`);
});
