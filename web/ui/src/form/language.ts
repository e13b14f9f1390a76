import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { StreamLanguage, type StreamParser } from "@codemirror/language";
import type { Field } from "../api";

interface Where {
  heredoc: string;
  comment: boolean;
}

const parser: StreamParser<Where> = {
  name: "hcl",
  startState: () => ({ heredoc: "", comment: false }),
  token(s, at) {
    if (at.comment) {
      if (s.skipTo("*/")) {
        s.match("*/");
        at.comment = false;
      } else s.skipToEnd();
      return "comment";
    }
    if (at.heredoc) {
      const line = s.string.trim();
      s.skipToEnd();
      if (line === at.heredoc) at.heredoc = "";
      return "string";
    }
    if (s.eatSpace()) return null;
    if (s.match(/^(#|\/\/).*/)) return "comment";
    if (s.match("/*")) {
      at.comment = true;
      return "comment";
    }
    const doc = s.match(/^<<-?([A-Za-z_][\w-]*)/) as RegExpMatchArray | null;
    if (doc) {
      at.heredoc = doc[1] ?? "";
      return "string";
    }
    if (s.match(/^"(?:[^"\\]|\\.)*"?/)) return "string";
    if (s.match(/^-?\d+(\.\d+)?([eE][+-]?\d+)?/)) return "number";
    if (s.match(/^(true|false|null)\b/)) return "bool";
    if (s.match(/^(for|in|if)\b/)) return "keyword";
    const word = s.match(/^[A-Za-z_][\w-]*/) as RegExpMatchArray | null;
    if (word) {
      if (s.match(/^\s*\(/, false)) return "variableName.function";
      if (s.match(/^\s*=[^=]/, false)) return "propertyName";
      if (s.match(/^(\s+"[^"]*")*\s*\{/, false)) return "keyword";
      return "variableName";
    }
    s.next();
    return "operator";
  },
  languageData: { commentTokens: { line: "#" }, closeBrackets: { brackets: ["(", "[", "{", '"'] } },
};

export const hcl = StreamLanguage.define(parser);

// What stands in which block. The server says what is wrong; this only helps to type.
const blocks: Record<string, string[]> = {
  "": ["pipeline", "variable", "locals", "dataset", "model", "train", "evaluate", "export", "check", "output", "executor", "moved"],
  pipeline: ["description", "required_version"],
  variable: ["type", "default", "description", "sensitive", "validation"],
  dataset: ["format", "path", "paths", "classes", "split", "checks"],
  split: ["train", "val", "test", "seed", "stratify"],
  checks: ["max_corrupt", "min_per_class", "leakage"],
  model: ["adapter", "name", "task", "image_size", "pretrained", "weights", "freeze", "num_classes"],
  train: ["model", "dataset", "epochs", "batch_size", "learning_rate", "seed", "preset", "device", "num_workers", "monitor", "mode", "on_change", "timeout", "config", "matrix", "checkpoint", "start", "retry"],
  checkpoint: ["every", "keep_last", "keep_best", "keep_every"],
  retry: ["attempts", "on"],
  start: ["checkpoint", "mode"],
  evaluate: ["checkpoint", "dataset", "split"],
  export: ["checkpoint", "precision"],
  check: ["condition", "error_message"],
  output: ["value", "description"],
};
const isBlock = new Set([...(blocks[""] ?? []), "split", "checks", "config", "checkpoint", "start", "retry", "validation"]);

/** place is the path of block types around a position, outermost first. */
export function place(text: string): string[] {
  const path: string[] = [];
  const code = text.replace(/"(?:[^"\\\n]|\\.)*"?|(#|\/\/)[^\n]*|\/\*[\s\S]*?(\*\/|$)/g, (m) => (m.startsWith('"') ? '""' : ""));
  for (const m of code.matchAll(/([A-Za-z_][\w-]*)?((?:\s*"")*)\s*(=\s*)?\{|\}/g)) {
    if (m[0] === "}") path.pop();
    else path.push(m[1] ?? "");
  }
  return path;
}

/** completer offers blocks, arguments, config fields with their options, and names of the text. */
export function completer(fields: () => Field[], presets: () => string[], models: () => string[]) {
  return (c: CompletionContext): CompletionResult | null => {
    const word = c.matchBefore(/[\w.-]*/);
    if (!word || (word.from === word.to && !c.explicit)) return null;
    const before = c.state.sliceDoc(0, word.from);
    const line = before.slice(before.lastIndexOf("\n") + 1);
    const path = place(before);
    const config = path.indexOf("config");
    const prefix = config >= 0 ? path.slice(config + 1).map((p) => `${p}.`).join("") : "";
    const assigned = /([\w-]+)\s*=\s*"?$/.exec(line)?.[1];
    let options: Completion[] = [];
    if (assigned) {
      const quote = line.endsWith('"') ? "" : '"';
      const texts = (list: string[], type = "enum"): Completion[] => list.map((v) => ({ label: v, apply: `${quote}${v}${quote}`, type }));
      const f = config >= 0 ? fields().find((x) => x.name === prefix + assigned) : undefined;
      if (f?.options) options = f.options.map((o) => ({ label: o.value, apply: `${quote}${o.value}${quote}`, type: "enum", ...(o.description ? { info: o.description } : {}) }));
      else if (f?.type === "boolean") options = ["true", "false"].map((label) => ({ label, type: "constant" }));
      else if (assigned === "preset") options = texts(presets());
      else if (assigned === "name" && path.at(-1) === "model") options = texts(models());
      else if (!line.endsWith('"')) options = names(c.state.doc.toString()).map((label) => ({ label, type: "variable" }));
    } else if (/^\s*$/.test(line)) {
      if (config >= 0) {
        const own = fields().filter((f) => f.name.startsWith(prefix));
        const seen = new Set<string>();
        for (const f of own) {
          const rest = f.name.slice(prefix.length).split(".");
          const head = rest[0] ?? "";
          if (seen.has(head)) continue;
          seen.add(head);
          options.push(rest.length > 1 ? { label: head, type: "class", apply: `${head} {}` } : { label: head, type: "property", apply: `${head} = `, ...(f.description ? { info: f.description } : {}), ...(f.unit ? { detail: f.unit } : {}) });
        }
      } else {
        options = (blocks[path.at(-1) ?? ""] ?? []).map((label) => (isBlock.has(label) && !(path.length > 0 && ["model", "dataset", "checkpoint"].includes(label)) ? { label, type: "class" } : { label, type: "property", apply: `${label} = ` }));
      }
    }
    return options.length > 0 ? { from: word.from, options, validFor: /^[\w.-]*$/ } : null;
  };
}

/** names are the addresses that a text declares: model.net. */
function names(text: string): string[] {
  const found = [...text.matchAll(/^\s*(variable|dataset|model|train|evaluate|export)\s+"([\w-]+)"/gm)];
  return found.map((m) => `${m[1] === "variable" ? "var" : m[1]}.${m[2]}`);
}
