import { useMemo, useState } from "preact/hooks";
import { short, value, words } from "../format";
import { Scroll } from "./scroll";

export interface Item {
  label: string;
  color: string;
  values: Record<string, unknown>;
}

interface AxisOf {
  name: string;
  at: (v: unknown) => number | null; // share of the height, from below
  ticks: { text: string; at: number }[];
}

/** Parallel draws each item as a line over an axis for each value that differs. */
export function Parallel({ items }: { items: Item[] }) {
  const [strong, setStrong] = useState<number | null>(null);
  const axes = useMemo(() => axesOf(items), [items]);
  if (axes.length < 2) return <p class="muted">Fewer than two numbers or settings differ: there is nothing to lay side by side.</p>;
  const gap = 150;
  const height = 240;
  const width = (axes.length - 1) * gap + 160;
  const x = (i: number) => 80 + i * gap;
  const y = (share: number) => 50 + (1 - share) * (height - 80);
  return (
    <Scroll label="Parallel coordinates">
      <svg class="parallel" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="group" aria-label="Parallel coordinates">
        {axes.map((a, i) => (
          <g key={a.name}>
            <line class="axis" x1={x(i)} x2={x(i)} y1={y(0)} y2={y(1)} />
            <text class="name" x={x(i)} y={14 + 14 * (i % 2)} text-anchor="middle">{clip(words(a.name), 26)}</text>
          </g>
        ))}
        {items.map((item, k) => {
          const points = axes.flatMap((a, i) => {
            const share = a.at(item.values[a.name]);
            return share === null ? [] : [`${x(i)},${y(share)}`];
          });
          return (
            <polyline
              key={k}
              class={strong === null ? "" : strong === k ? "strong" : "faint"}
              points={points.join(" ")}
              stroke={`var(${item.color})`}
              tabindex={0}
              role="img"
              aria-label={`${item.label}: ${axes.map((a) => `${words(a.name)} ${text(item.values[a.name])}`).join(", ")}`}
              onPointerEnter={() => setStrong(k)}
              onPointerLeave={() => setStrong(null)}
              onFocus={() => setStrong(k)}
              onBlur={() => setStrong(null)}
            />
          );
        })}
        {axes.flatMap((a, i) =>
          a.ticks.map((t) => (
            <text key={`${a.name} ${t.text}`} class="tick" x={x(i) + 6} y={y(t.at) + (t.at > 0.5 ? -5 : 13)}>{clip(t.text, 14)}</text>
          )),
        )}
      </svg>
      <p class="muted readout" aria-live="polite">
        {strong === null ? "Point at a line, or walk with Tab." : `${items[strong]?.label}: ${axes.map((a) => `${words(a.name)} ${text(items[strong]?.values[a.name])}`).join(", ")}`}
      </p>
    </Scroll>
  );
}

const clip = (s: string, n: number): string => (s.length > n ? `${s.slice(0, n - 1)}…` : s);
const text = (v: unknown): string => (typeof v === "number" ? short(v) : value(v));

function axesOf(items: Item[]): AxisOf[] {
  const names = [...new Set(items.flatMap((i) => Object.keys(i.values)))];
  const inputs = names.filter((n) => !n.startsWith("→")).sort();
  const outcomes = names.filter((n) => n.startsWith("→")).sort();
  const axes: AxisOf[] = [];
  for (const name of [...inputs, ...outcomes]) {
    const values = items.map((i) => i.values[name]);
    const distinct = [...new Set(values.filter((v) => v !== undefined && v !== null).map((v) => JSON.stringify(v)))];
    if (distinct.length < 2) continue;
    const numbers = values.filter((v): v is number => typeof v === "number" && Number.isFinite(v));
    if (values.every((v) => v === undefined || v === null || typeof v === "number")) {
      const lo = Math.min(...numbers);
      const hi = Math.max(...numbers);
      if (!(hi > lo)) continue;
      const log = lo > 0 && hi / lo >= 20;
      const f = log ? Math.log : (v: number) => v;
      axes.push({
        name,
        at: (v) => (typeof v === "number" && Number.isFinite(v) ? (f(v) - f(lo)) / (f(hi) - f(lo)) : null),
        ticks: [{ text: short(lo), at: 0 }, { text: short(hi), at: 1 }],
      });
    } else {
      const words = distinct.map((d) => value(JSON.parse(d))).sort();
      const at = (w: string) => (words.length < 2 ? 0.5 : words.indexOf(w) / (words.length - 1));
      axes.push({ name, at: (v) => (v === undefined || v === null ? null : at(value(v))), ticks: words.map((w) => ({ text: w, at: at(w) })) });
    }
  }
  return axes;
}
