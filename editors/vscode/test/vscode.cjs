// As much of VS Code's API as the client library needs to start, open a text
// and be told of diagnostics. What is not written out here is an empty class.
"use strict";

class Disposable {
  constructor(f) { this.f = f; }
  static from(...all) { return new Disposable(() => all.forEach((d) => d.dispose())); }
  dispose() { this.f?.(); }
}

class EventEmitter {
  listeners = new Set();
  event = (f, self) => {
    const bound = self ? f.bind(self) : f;
    this.listeners.add(bound);
    return new Disposable(() => this.listeners.delete(bound));
  };
  fire(e) { for (const f of this.listeners) f(e); }
  dispose() { this.listeners.clear(); }
}

class Position {
  constructor(line, character) { this.line = line; this.character = character; }
}

class Range {
  constructor(a, b, c, d) {
    this.start = typeof a === "number" ? new Position(a, b) : a;
    this.end = typeof a === "number" ? new Position(c, d) : b;
  }
}

class Uri {
  constructor(path) { this.scheme = "file"; this.authority = ""; this.path = this.fsPath = path; }
  static file(path) { return new Uri(path); }
  static parse(s) { return new Uri(decodeURIComponent(new URL(s).pathname)); }
  toString() { return "file://" + this.path.split("/").map(encodeURIComponent).join("/"); }
}

class Diagnostic {
  constructor(range, message, severity) { Object.assign(this, { range, message, severity }); }
}

class CancellationTokenSource {
  token = { isCancellationRequested: false, onCancellationRequested: new EventEmitter().event };
  cancel() {}
  dispose() {}
}

exports.state = { settings: {}, diagnostics: new Map(), told: new EventEmitter(), output: [], providers: {} };

const nothing = new Disposable();
const events = () => {
  const all = {};
  return (name) => (all[name] ??= new EventEmitter());
};
const happened = events();
exports.happened = happened;

/** open fills what is missing with events, providers' registrations and empty classes. */
function open(known) {
  return new Proxy(known, {
    get(target, name) {
      if (name in target || typeof name !== "string") return target[name];
      if (/^on(Did|Will)/.test(name)) return happened(name).event;
      if (/^register/.test(name)) {
        return (selector, provider) => {
          exports.state.providers[name] = provider;
          return nothing;
        };
      }
      if (/^[A-Z]/.test(name)) return (target[name] = class {});
      return undefined;
    },
  });
}

const channel = () => open({
  name: "", append: (s) => exports.state.output.push(s), appendLine: (s) => exports.state.output.push(s), show() {}, dispose() {},
  info: (s) => exports.state.output.push(s), warn: (s) => exports.state.output.push(s), error: (s) => exports.state.output.push(s), debug() {}, trace() {},
});

class CancellationError extends Error {}
const classes = ["CallHierarchyItem", "CodeAction", "CodeLens", "CompletionItem", "DocumentLink", "InlayHint", "SymbolInformation", "TypeHierarchyItem"];

exports.api = open({
  ...Object.fromEntries(classes.map((name) => [name, class {}])),
  CancellationError, Disposable, EventEmitter, Position, Range, Uri, Diagnostic, CancellationTokenSource,
  version: "1.91.0",
  DiagnosticSeverity: { Error: 0, Warning: 1, Information: 2, Hint: 3 },
  DiagnosticTag: { Unnecessary: 1, Deprecated: 2 },
  CompletionItemKind: {}, SymbolKind: {}, CodeActionKind: new Proxy({}, { get: () => ({ append: () => ({}) }) }),
  LogLevel: { Off: 0, Trace: 1, Debug: 2, Info: 3, Warning: 4, Error: 5 },
  env: open({ appName: "test", language: "en", logLevel: 3 }),
  commands: open({ registerCommand: () => nothing }),
  extensions: open({ getExtension: () => undefined, all: [] }),
  window: open({
    createOutputChannel: channel, visibleTextEditors: [], tabGroups: open({ all: [] }),
    showErrorMessage: async (s) => { exports.state.output.push(s); }, showInformationMessage: async () => {}, showWarningMessage: async () => {},
  }),
  workspace: open({
    textDocuments: [], workspaceFolders: undefined, notebookDocuments: [], fs: {},
    getConfiguration: (section) => ({ get: (key, otherwise) => exports.state.settings[section + "." + key] ?? otherwise, inspect: () => undefined }),
    createFileSystemWatcher: () => open({ dispose() {} }),
  }),
  languages: open({
    match: (selector, doc) => (doc.languageId === "hcl" ? 10 : 0),
    createDiagnosticCollection: () => ({
      set(uri, list) { exports.state.diagnostics.set(uri.toString(), list); exports.state.told.fire(uri.toString()); },
      delete(uri) { exports.state.diagnostics.delete(uri.toString()); }, clear() {}, dispose() {},
    }),
  }),
});
