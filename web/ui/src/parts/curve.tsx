import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { PRCurve } from "../api";
import { num, percent, short } from "../format";
import { dashes, palette } from "../theme";

interface Line {
  name: string;
  ap: number;
  at: { threshold: number; precision: number; recall: number }[];
}

const atOnce = palette.length;
const [left, right, top, bottom] = [42, 10, 10, 34];

/** PRCurves draws precision over recall of each class; the pointer and arrow keys read points. */
export function PRCurves({ curves }: { curves: Record<string, PRCurve> }) {
  const lines = useMemo(() => linesOf(curves), [curves]);
  const [picked, setPicked] = useState<ReadonlySet<string> | null>(null); // null = the weakest
  const [at, setAt] = useState<{ line: number; point: number } | null>(null);
  const [find, setFind] = useState("");
  const [width, setWidth] = useState(460);
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const el = box.current;
    if (!el) return;
    const measure = () => setWidth(Math.min(560, el.clientWidth));
    measure();
    const sizes = new ResizeObserver(measure);
    sizes.observe(el);
    return () => sizes.disconnect();
  }, []);

  const shown = useMemo(() => lines.filter((l, i) => (picked ? picked.has(l.name) : i < atOnce)), [lines, picked]);
  const mean = lines.reduce((sum, l) => sum + l.ap, 0) / Math.max(1, lines.length);
  const height = Math.round(Math.min(400, Math.max(240, width * 0.8)));
  const x = (recall: number) => left + recall * (width - left - right);
  const y = (precision: number) => top + (1 - precision) * (height - top - bottom);
  const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1];

  const nearest = (e: PointerEvent) => {
    const r = (e.currentTarget as SVGElement).getBoundingClientRect();
    const [px, py] = [e.clientX - r.left, e.clientY - r.top];
    let best: { line: number; point: number } | null = null;
    let least = 60 ** 2;
    shown.forEach((l, line) =>
      l.at.forEach((p, point) => {
        const d = (x(p.recall) - px) ** 2 + (y(p.precision) - py) ** 2;
        if (d < least) [least, best] = [d, { line, point }];
      }),
    );
    setAt(best);
  };
  const walk = (e: KeyboardEvent) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[e.key];
    if (!step || shown.length === 0) return;
    e.preventDefault();
    const line = at ? Math.min(shown.length - 1, Math.max(0, at.line + (step[0] ?? 0))) : 0;
    const last = (shown[line]?.at.length ?? 1) - 1;
    setAt({ line, point: at ? Math.min(last, Math.max(0, at.point + (step[1] ?? 0))) : 0 });
  };
  const toggle = (name: string) =>
    setPicked(() => {
      const next = new Set(shown.map((l) => l.name));
      if (!next.delete(name)) next.add(name);
      setAt(null);
      return next;
    });

  const line = at ? shown[at.line] : undefined;
  const p = at ? line?.at[at.point] : undefined;
  const listed = lines.filter((l) => l.name.toLowerCase().includes(find.toLowerCase()));
  return (
    <div class="grid2 prcurves">
      <div ref={box}>
        <svg
          width={width}
          height={height}
          viewBox={`0 0 ${width} ${height}`}
          role="img"
          tabindex={0}
          aria-label={`Precision over recall of ${shown.map((l) => `${l.name}, average precision ${short(l.ap)}`).join("; ")}. Arrow keys read points.`}
          onPointerMove={nearest}
          onPointerDown={nearest}
          onPointerLeave={() => setAt(null)}
          onKeyDown={walk}
        >
          {ticks.map((t) => (
            <g key={t}>
              <line class="gridline" x1={x(t)} x2={x(t)} y1={y(0)} y2={y(1)} />
              <line class="gridline" x1={x(0)} x2={x(1)} y1={y(t)} y2={y(t)} />
              <text class="tick" x={x(t)} y={y(0) + 14} text-anchor="middle">{t}</text>
              <text class="tick" x={left - 6} y={y(t) + 4} text-anchor="end">{t}</text>
            </g>
          ))}
          <text class="tick" x={x(0.5)} y={height - 4} text-anchor="middle">recall</text>
          <text class="tick" x={10} y={y(0.5)} text-anchor="middle" transform={`rotate(-90 10 ${y(0.5)})`}>precision</text>
          {shown.map((l, i) => (
            <polyline
              key={l.name}
              class={line === undefined ? "" : line === l ? "strong" : "faint"}
              points={l.at.map((q) => `${x(q.recall).toFixed(1)},${y(q.precision).toFixed(1)}`).join(" ")}
              stroke={`var(${palette[i % palette.length]})`}
              stroke-dasharray={dashes[i % dashes.length]?.join(" ") ?? ""}
            />
          ))}
          {p && <circle cx={x(p.recall)} cy={y(p.precision)} r={5} stroke={`var(${palette[(at?.line ?? 0) % palette.length]})`} />}
        </svg>
        <p class="muted readout" aria-live="polite">
          {p && line
            ? `${line.name}, of what scores ${short(p.threshold)} or more: ${percent(p.precision)} is right, and it is ${percent(p.recall)} of the class`
            : "Each class against the rest, from the surest prediction down. Point at a curve, or use the arrow keys."}
        </p>
      </div>
      <div>
        <h3>
          Average precision <span class="muted">mean {short(mean)}, the weakest first</span>
        </h3>
        {lines.length > 20 && (
          <label>
            Find{" "}
            <input type="search" value={find} onInput={(e) => setFind(e.currentTarget.value)} />
          </label>
        )}
        <ul class="keys">
          {listed.slice(0, 200).map((l) => {
            const i = shown.indexOf(l);
            return (
              <li key={l.name}>
                <button type="button" class="key" aria-pressed={i >= 0} onClick={() => toggle(l.name)} onPointerEnter={() => i >= 0 && setAt({ line: i, point: 0 })}>
                  <svg width="26" height="8" aria-hidden="true">
                    {i >= 0 && <line x1="0" y1="4" x2="26" y2="4" stroke={`var(${palette[i % palette.length]})`} stroke-width="3" stroke-dasharray={dashes[i % dashes.length]?.join(" ") ?? ""} />}
                  </svg>
                  <span class="name">{l.name}</span> <span class="value">{short(l.ap)}</span>
                </button>
              </li>
            );
          })}
        </ul>
      </div>
    </div>
  );
}

function linesOf(curves: Record<string, PRCurve>): Line[] {
  const lines = Object.entries(curves).map(([name, c]) => ({
    name,
    ap: num(c.ap),
    at: c.recall
      .map((r, i) => ({ recall: num(r), precision: num(c.precision[i]), threshold: num(c.thresholds[i]) }))
      .filter((q) => Number.isFinite(q.recall) && Number.isFinite(q.precision)),
  }));
  return lines.filter((l) => l.at.length > 0).sort((a, b) => a.ap - b.ap || a.name.localeCompare(b.name));
}
