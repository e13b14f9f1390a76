/** markdown makes nodes of the little Markdown that the server writes: paragraphs, headings, lists, code. Whatever else stands there is text. */
export function markdown(text: string): HTMLElement {
  const out = document.createElement("div");
  text.split(/^```.*$/m).forEach((piece, i) => {
    if (i % 2 === 1) {
      const pre = out.appendChild(document.createElement("pre"));
      pre.textContent = piece.replace(/^\n|\n$/g, "");
      return;
    }
    for (const block of piece.split(/\n{2,}/)) {
      const line = block.trim();
      if (line !== "") out.appendChild(document.createElement("p")).append(...inline(line.replace(/^#+ /, "").replace(/^[-*] /gm, "• ")));
    }
  });
  return out;
}

function inline(text: string): Node[] {
  const nodes: Node[] = [];
  let at = 0;
  for (const m of text.matchAll(/`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\([^)]*\)/g)) {
    nodes.push(document.createTextNode(text.slice(at, m.index)));
    at = m.index + m[0].length;
    const node = m[3] === undefined ? document.createElement(m[1] === undefined ? "b" : "code") : document.createElement("span");
    node.textContent = m[1] ?? m[2] ?? m[3] ?? "";
    nodes.push(node);
  }
  nodes.push(document.createTextNode(text.slice(at)));
  return nodes;
}
