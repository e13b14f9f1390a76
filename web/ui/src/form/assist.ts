import { type Completion, type CompletionContext, type CompletionResult, snippet } from "@codemirror/autocomplete";
import type { EditorView, HoverTooltipSource } from "@codemirror/view";
import { type Assistance, post, type Suggestion } from "../api";
import { markdown } from "./markdown";

const file = "main.hcl";

/** ask has the server look at a place of the text; null when it does not answer: checking the text tells of that. */
async function ask(about: "completions" | "hover", text: string, at: number, signal: AbortSignal): Promise<Assistance | null> {
  const byte = new TextEncoder().encode(text.slice(0, at)).length;
  try {
    return await post<Assistance>("/api/v1/pipelines/assist", { files: { [file]: text }, file, byte, about }, signal);
  } catch {
    return null;
  }
}

/** places turns the server's places, which are bytes, into the editor's. */
function places(text: string): (byte: number) => number {
  const bytes = new TextEncoder().encode(text);
  const known = new Map<number, number>();
  return (byte) => {
    const at = known.get(byte) ?? new TextDecoder().decode(bytes.subarray(0, byte)).length;
    known.set(byte, at);
    return at;
  };
}

const types: Record<Suggestion["kind"], string> = { block: "class", argument: "property", field: "property", group: "namespace", value: "enum", reference: "variable", function: "function" };

/** completions offers what the server says may be written at the cursor. */
export async function completions(c: CompletionContext): Promise<CompletionResult | null> {
  if (!c.explicit && !c.matchBefore(/[\p{L}\p{N}_.-]$|"$/u)) return null;
  const end = new AbortController();
  c.addEventListener("abort", () => end.abort(), { onDocChange: true });
  const text = c.state.doc.toString();
  const found = (await ask("completions", text, c.pos, end.signal))?.completions ?? [];
  const [first] = found;
  if (!first || c.aborted) return null;
  const at = places(text);
  return {
    from: at(first.from),
    to: Math.max(c.pos, at(first.to)),
    options: found.filter((s) => s.from === first.from && s.to === first.to).map(option),
    validFor: /^[\p{L}\p{N}_-]*$/u,
  };
}

function option(s: Suggestion): Completion {
  const out: Completion = { label: s.label, type: types[s.kind], boost: -s.rank, apply: s.snippet ? snippet(template(s.snippet)) : s.insert };
  if (s.detail) out.detail = s.detail;
  if (s.doc) out.info = () => markdown(s.doc ?? "");
  return out;
}

/** template writes a snippet of the Language Server Protocol as the editor has them, of choices the first. */
export function template(lsp: string): string {
  return lsp.replace(/\\(.)|\$\{(\d+)(?::((?:\\.|[^\\}])*)|\|((?:\\.|[^\\|,])*)(?:\\.|[^\\|])*\|)?\}|\$(\d+)/g, (_, escaped?: string, field?: string, text?: string, choice?: string, end?: string) => {
    if (escaped !== undefined) return /[{}]/.test(escaped) ? `\\${escaped}` : escaped;
    const shown = (text ?? choice ?? "").replace(/\\(.)/g, "$1");
    return shown === "" || /[{}]/.test(shown) ? `\${${field ?? end}}` : `\${${field ?? end}:${shown}}`;
  });
}

/** explanations shows what the server says of the word under the pointer. */
export function explanations(): HoverTooltipSource {
  let before = new AbortController();
  return async (view: EditorView, pos: number) => {
    before.abort();
    const end = (before = new AbortController());
    const text = view.state.doc.toString();
    const hover = (await ask("hover", text, pos, end.signal))?.hover;
    if (!hover || view.state.doc.toString() !== text) return null;
    const at = places(text);
    return {
      pos: at(hover.from),
      end: at(hover.to),
      create: () => {
        const dom = document.createElement("div");
        dom.className = "cm-explanation";
        dom.append(markdown(hover.text));
        return { dom };
      },
    };
  };
}
