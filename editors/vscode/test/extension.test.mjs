// The built extension against the real `runner lsp`, with a stand-in for VS Code.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync } from "node:fs";
import Module, { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const runner = process.env.RUNNER ?? join(here, "../../bin/runner");
const bundle = join(here, "dist/extension.js");
const missing = !existsSync(runner) ? `${runner} is missing: make build` : !existsSync(bundle) ? "dist is missing: npm run build" : false;

test("the extension starts the language server and shows what it tells", { skip: missing, timeout: 60_000 }, async () => {
  const require = createRequire(import.meta.url);
  const vscode = require("./vscode.cjs");
  const load = Module._load;
  Module._load = (name, ...rest) => (name === "vscode" ? vscode.api : load(name, ...rest));

  const uri = vscode.api.Uri.file(join(mkdtempSync(join(tmpdir(), "trainwright-")), "main.hcl"));
  let text = 'pipeline "p" {}\n\n# 학습 😀\ntrain "x" {\n  epohcs = 3\n}\n';
  const doc = {
    uri, fileName: uri.fsPath, languageId: "hcl", version: 1, isClosed: false, getText: () => text,
    get lineCount() { return text.split("\n").length; },
  };
  vscode.state.settings["trainwright.runner.path"] = runner;
  vscode.api.workspace.textDocuments = [doc];

  const extension = require(bundle);
  const context = { subscriptions: [] };
  const told = (enough) => new Promise((done) => {
    vscode.state.told.event((u) => u === uri.toString() && enough(vscode.state.diagnostics.get(u)) && done(vscode.state.diagnostics.get(u)));
  });
  let next = told((list) => list.length > 0);
  await extension.activate(context);
  let list = await next;
  const typo = list.find((d) => d.message.includes('Did you mean "epochs"?'));
  assert.ok(typo, list.map((d) => d.message).join("\n"));
  assert.deepEqual([typo.range.start.line, typo.range.start.character, typo.range.end.character], [4, 2, 8]);

  // typing: the text's change goes to the server, which finds less wrong
  next = told((l) => !l.some((d) => d.message.includes("epohcs")));
  text = text.replace("epohcs", "epochs");
  doc.version = 2;
  vscode.happened("onDidChangeTextDocument").fire({
    document: doc, reason: undefined,
    contentChanges: [{ range: new vscode.api.Range(4, 2, 4, 8), rangeOffset: 0, rangeLength: 6, text: "epochs" }],
  });
  list = await next;
  assert.ok(list.some((d) => d.message.includes('needs the argument "model"')));
  for (const name of ["registerCompletionItemProvider", "registerHoverProvider", "registerDefinitionProvider", "registerReferenceProvider", "registerDocumentSymbolProvider", "registerDocumentFormattingEditProvider"]) {
    assert.ok(vscode.state.providers[name], `${name} was not called`);
  }
  await extension.deactivate();
});
