import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { color, onTheme } from "../theme";
import { Scroll } from "./scroll";

/** Matrix draws a confusion matrix of any size; the pointer and arrow keys read its cells. */
export function Matrix({ classes, matrix }: { classes: string[]; matrix: number[][] }) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [at, setAt] = useState<[number, number] | null>(null);
  const [width, setWidth] = useState(480);
  const n = matrix.length;
  const name = (i: number) => classes[i] ?? String(i);
  const sums = useMemo(() => matrix.map((row) => row.reduce((a, b) => a + b, 0)), [matrix]);
  const columns = useMemo(() => matrix.map((_, j) => matrix.reduce((a, row) => a + (row[j] ?? 0), 0)), [matrix]);

  useLayoutEffect(() => {
    const el = box.current;
    if (!el) return;
    const measure = () => setWidth(el.clientWidth);
    measure();
    const sizes = new ResizeObserver(measure);
    sizes.observe(el);
    return () => sizes.disconnect();
  }, []);

  const longest = Math.min(14, Math.max(...Array.from({ length: n }, (_, i) => name(i).length), 1));
  const label = n <= 60 ? 12 + longest * 6.2 : 4;
  const cell = Math.max(1, Math.min(44, Math.floor((Math.min(width, 760) - label) / Math.max(1, n))));
  const side = label + cell * n;

  useEffect(() => {
    const draw = () => {
      const c = canvas.current;
      const ctx = c?.getContext("2d");
      if (!c || !ctx) return;
      const dpr = devicePixelRatio || 1;
      c.width = Math.ceil(side * dpr);
      c.height = Math.ceil(side * dpr);
      c.style.width = `${side}px`;
      c.style.height = `${side}px`;
      ctx.scale(dpr, dpr);
      const [good, bad, fg, muted, panel] = ["--c1", "--c2", "--fg", "--muted", "--cell"].map(color) as [string, string, string, string, string];
      const gap = cell >= 8 ? 1 : 0;
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          const count = matrix[i]?.[j] ?? 0;
          const share = count / Math.max(1, sums[i] ?? 0);
          const x = label + j * cell;
          const y = label + i * cell;
          ctx.globalAlpha = 1;
          ctx.fillStyle = panel;
          ctx.fillRect(x, y, cell - gap, cell - gap);
          if (count > 0) {
            ctx.globalAlpha = 0.18 + 0.82 * Math.sqrt(share);
            ctx.fillStyle = i === j ? good : bad;
            ctx.fillRect(x, y, cell - gap, cell - gap);
          }
          if (count > 0 && cell >= 22) {
            ctx.globalAlpha = 1;
            ctx.fillStyle = share > 0.45 ? color("--on") : fg;
            ctx.font = `${cell >= 32 ? 12 : 10}px system-ui, sans-serif`;
            ctx.textAlign = "center";
            ctx.textBaseline = "middle";
            ctx.fillText(String(count), x + (cell - gap) / 2, y + (cell - gap) / 2);
          }
        }
      }
      ctx.globalAlpha = 1;
      if (n <= 60 && cell >= 8) {
        ctx.fillStyle = muted;
        ctx.font = `${Math.min(11, cell)}px system-ui, sans-serif`;
        for (let i = 0; i < n; i++) {
          const text = name(i).length > 14 ? `${name(i).slice(0, 13)}…` : name(i);
          ctx.textAlign = "right";
          ctx.textBaseline = "middle";
          ctx.fillText(text, label - 6, label + i * cell + cell / 2);
          ctx.save();
          ctx.translate(label + i * cell + cell / 2, label - 6);
          ctx.rotate(-Math.PI / 2);
          ctx.textAlign = "left";
          ctx.fillText(text, 0, 0);
          ctx.restore();
        }
      }
      if (at) {
        ctx.strokeStyle = fg;
        ctx.lineWidth = 2;
        ctx.strokeRect(label + at[1] * cell, label + at[0] * cell, cell - gap, cell - gap);
      }
    };
    draw();
    return onTheme(draw);
  }, [matrix, classes, at, cell, label, side]);

  const find = (e: PointerEvent) => {
    const r = canvas.current?.getBoundingClientRect();
    if (!r) return;
    const j = Math.floor((e.clientX - r.left - label) / cell);
    const i = Math.floor((e.clientY - r.top - label) / cell);
    setAt(i >= 0 && j >= 0 && i < n && j < n ? [i, j] : null);
  };
  const walk = (e: KeyboardEvent) => {
    const d = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[e.key];
    if (!d) return;
    e.preventDefault();
    const [i, j] = at ?? [0, 0];
    setAt(at ? [Math.min(n - 1, Math.max(0, i + (d[0] ?? 0))), Math.min(n - 1, Math.max(0, j + (d[1] ?? 0)))] : [0, 0]);
  };

  const confused = useMemo(() => {
    const pairs: [number, number, number][] = [];
    matrix.forEach((row, i) => row.forEach((c, j) => i !== j && c > 0 && pairs.push([i, j, c])));
    return pairs.sort((a, b) => b[2] - a[2]).slice(0, 12);
  }, [matrix]);

  let said = "Rows are the truth, columns the prediction; shades are shares of a row. Point at a cell, or use the arrow keys.";
  if (at) {
    const [i, j] = at;
    const count = matrix[i]?.[j] ?? 0;
    const of = sums[i] ?? 0;
    said = `${name(i)} taken for ${name(j)}: ${count} of ${of} images of ${name(i)} (${of ? ((100 * count) / of).toFixed(1) : 0} %), ${count} of ${columns[j] ?? 0} predictions of ${name(j)}`;
  }
  return (
    <div class="grid2 matrix">
      <div ref={box}>
        <Scroll label="Confusion matrix">
          <canvas ref={canvas} tabIndex={0} role="img" aria-label={`Confusion matrix of ${n} classes. Arrow keys read its cells.`} onPointerMove={find} onPointerDown={find} onPointerLeave={() => setAt(null)} onKeyDown={walk} />
        </Scroll>
        <p class="muted readout" aria-live="polite">{said}</p>
      </div>
      <div>
        {confused.length > 0 ? (
          <>
            <h3>Most confused</h3>
            <table class="list">
              <thead>
                <tr><th>Truth</th><th>Taken for</th><th class="n">Images</th></tr>
              </thead>
              <tbody>
                {confused.map(([i, j, c]) => (
                  <tr key={`${i},${j}`} onPointerEnter={() => setAt([i, j])}>
                    <td class="wrap">{name(i)}</td>
                    <td class="wrap">{name(j)}</td>
                    <td class="n">{c}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </>
        ) : (
          <p class="muted">No confusion: every image was classified correctly.</p>
        )}
      </div>
    </div>
  );
}
