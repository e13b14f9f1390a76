import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic as Mark, lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, hoverTooltip, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "preact/hooks";
import type { Diagnostic } from "../api";
import { completions, explanations } from "./assist";
import { hcl } from "./language";

export interface EditorProps {
  text: string; // shown unless byHand
  byHand: boolean; // the user changed it: the editor holds the truth
  edit: (text: string) => void;
  diagnostics: Diagnostic[];
}

const colors = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--key)", fontWeight: "600" },
  { tag: tags.propertyName, color: "var(--link)" },
  { tag: tags.string, color: "var(--good)" },
  { tag: [tags.number, tags.bool], color: "var(--bad)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
  { tag: tags.function(tags.variableName), color: "var(--warn)" },
]);

const look = EditorView.theme({
  "&": { color: "var(--fg)", backgroundColor: "var(--panel)", border: "1px solid var(--line)", borderRadius: "8px", fontSize: "13px" },
  "&.cm-focused": { outline: "2px solid var(--accent)" },
  ".cm-scroller": { fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace", lineHeight: "1.55", maxHeight: "75vh", overflow: "auto" },
  ".cm-content": { caretColor: "var(--fg)", minHeight: "260px" },
  ".cm-cursor": { borderLeftColor: "var(--fg)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "color-mix(in srgb, var(--accent) 28%, transparent)" },
  ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--muted)", border: "0" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--accent) 8%, transparent)" },
  ".cm-tooltip": { backgroundColor: "var(--bg)", color: "var(--fg)", border: "1px solid var(--line)" },
  ".cm-completionInfo, .cm-explanation": { maxWidth: "min(36em, 90vw)", maxHeight: "40vh", overflow: "auto", padding: "6px 10px" },
  ".cm-completionInfo p, .cm-explanation p, .cm-completionInfo pre, .cm-explanation pre": { margin: "4px 0", whiteSpace: "pre-wrap" },
  ".cm-tooltip code, .cm-tooltip pre": { fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace", fontSize: "12px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on)" },
  // The library's own marks are data: images, which the page's policy refuses.
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad)", textUnderlineOffset: "3px" },
  ".cm-lintRange-warning": { backgroundImage: "none", textDecoration: "underline wavy var(--warn)", textUnderlineOffset: "3px" },
  ".cm-lint-marker-error, .cm-lint-marker-warning, .cm-lint-marker-info": { content: "none", borderRadius: "50%", width: "0.7em", height: "0.7em", marginTop: "0.4em" },
  ".cm-lint-marker-error": { backgroundColor: "var(--bad)" },
  ".cm-lint-marker-warning": { backgroundColor: "var(--warn)" },
  ".cm-diagnosticText": { whiteSpace: "pre-wrap" },
});

/**
 * Editor is a HCL editor. It lives in a shadow root, where its styles are
 * adopted sheets: a style element would break the page's policy.
 */
export default function Editor(props: EditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const now = useRef(props);
  now.current = props;

  useEffect(() => {
    const el = host.current;
    if (!el) return;
    const root = el.shadowRoot ?? el.attachShadow({ mode: "open" });
    const v = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: now.current.text,
        extensions: [
          lineNumbers(),
          history(),
          drawSelection(),
          bracketMatching(),
          closeBrackets(),
          highlightActiveLine(),
          indentUnit.of("  "),
          hcl,
          syntaxHighlighting(colors),
          lintGutter(),
          autocompletion({ override: [completions], activateOnTypingDelay: 150 }),
          hoverTooltip(explanations(), { hoverTime: 400 }),
          // Tab leaves the editor, as keyboards expect of a page.
          keymap.of([...closeBracketsKeymap, ...completionKeymap, ...lintKeymap, ...historyKeymap, ...defaultKeymap]),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": "HCL of the pipeline" }),
          EditorView.updateListener.of((u) => {
            if (u.docChanged && u.transactions.some((t) => t.isUserEvent("input") || t.isUserEvent("delete") || t.isUserEvent("undo") || t.isUserEvent("redo") || t.isUserEvent("move"))) now.current.edit(u.state.doc.toString());
          }),
          look,
        ],
      }),
    });
    view.current = v;
    return () => {
      v.destroy();
      view.current = null;
    };
  }, []);

  useEffect(() => {
    const v = view.current;
    if (v && !props.byHand && v.state.doc.toString() !== props.text) v.dispatch({ changes: { from: 0, to: v.state.doc.length, insert: props.text } });
  }, [props.text, props.byHand]);

  useEffect(() => {
    const v = view.current;
    if (v) v.dispatch(setDiagnostics(v.state, props.diagnostics.map((d) => mark(v.state, d))));
  }, [props.diagnostics, props.text]);

  return <div class="editor" ref={host} />;
}

/** mark places a diagnostic: by lines and columns, as bytes are not characters. */
function mark(state: EditorState, d: Diagnostic): Mark {
  const at = (p: { line: number; column: number } | undefined, fallback: number): number => {
    if (!p || p.line < 1 || p.line > state.doc.lines) return fallback;
    const line = state.doc.line(p.line);
    return Math.min(line.to, line.from + Math.max(0, p.column - 1));
  };
  const from = at(d.range?.start, 0);
  let to = at(d.range?.end, from);
  if (to <= from) to = Math.min(state.doc.length, from + 1);
  return { from, to, severity: d.severity === "warning" ? "warning" : "error", message: `${d.summary}\n${d.detail}` };
}
