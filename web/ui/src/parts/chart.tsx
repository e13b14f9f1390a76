import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { short } from "../format";
import { color, onTheme } from "../theme";

/** Line is one curve: x ascending, y null where there is no number. */
export interface Line {
  label: string;
  xs: number[];
  ys: (number | null)[];
  color: string; // a custom property, "--c1"
  dash?: number[] | undefined;
  faint?: boolean;
}

export interface ChartProps {
  title: string;
  xLabel: string;
  lines: Line[];
  log?: boolean;
  mark?: number | undefined; // x of a dashed upright line
  sync?: string;
  height?: number;
}

const tickText = (v: number): string => {
  const a = Math.abs(v);
  if (a !== 0 && (a < 1e-3 || a >= 1e6)) return v.toExponential(0);
  return String(Number(v.toPrecision(6)));
};

/** Chart draws curves over one x axis; arrow keys move its cursor. */
export function Chart({ title, xLabel, lines, log, mark, sync, height = 220 }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const marked = useRef(mark);
  marked.current = mark;

  const data = useMemo<uPlot.AlignedData>(() => {
    if (lines.length === 0) return [[]];
    return uPlot.join(lines.map((l) => [l.xs, l.ys.map((y) => (log && y !== null && y <= 0 ? null : y))] as uPlot.AlignedData));
  }, [lines, log]);
  const newest = useRef(data);
  newest.current = data;

  const shape = JSON.stringify([lines.map((l) => [l.label, l.color, l.dash, l.faint]), log, xLabel, sync, height]);
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const axis = (extra: uPlot.Axis): uPlot.Axis => ({
      stroke: () => color("--muted"),
      grid: { stroke: () => color("--line"), width: 1 },
      ticks: { stroke: () => color("--line"), width: 1, size: 4 },
      font: "11px system-ui, sans-serif",
      ...extra,
    });
    const u = new uPlot(
      {
        width: Math.max(120, el.clientWidth),
        height,
        legend: { show: false },
        padding: [10, 12, 0, 0],
        cursor: {
          drag: { x: true, y: false },
          points: { size: 7 },
          ...(sync ? { sync: { key: sync } } : {}),
        },
        scales: { x: { time: false }, y: log ? { distr: 3, log: 10 } : {} },
        axes: [
          axis({ size: 30, space: 60, values: (_u, vs) => vs.map((v) => (v === null ? "" : tickText(v))), ...(xLabel === "epoch" ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] } : {}) }),
          axis({ size: (_u, values) => Math.max(40, 14 + 6.4 * Math.max(0, ...(values ?? []).map((v) => v.length))), values: (_u, vs) => vs.map((v) => (v === null ? "" : tickText(v))) }),
        ],
        series: [
          {},
          ...lines.map(
            (l): uPlot.Series => ({
              label: l.label,
              stroke: () => color(l.color) + (l.faint ? "66" : ""),
              width: l.faint ? 1 : 2,
              ...(l.dash ? { dash: l.dash } : {}),
              spanGaps: true,
              points: { show: (_u, _i, from, to) => to - from < 2 || l.xs.length <= 40, size: 5 },
            }),
          ),
        ],
        hooks: {
          setCursor: [(v) => setAt(v.cursor.idx ?? null)],
          draw: [
            (v) => {
              if (marked.current === undefined) return;
              const x = Math.round(v.valToPos(marked.current, "x", true));
              if (x < v.bbox.left || x > v.bbox.left + v.bbox.width) return;
              v.ctx.save();
              v.ctx.strokeStyle = color("--muted");
              v.ctx.setLineDash([4, 4]);
              v.ctx.beginPath();
              v.ctx.moveTo(x, v.bbox.top);
              v.ctx.lineTo(x, v.bbox.top + v.bbox.height);
              v.ctx.stroke();
              v.ctx.restore();
            },
          ],
        },
      },
      newest.current,
      el,
    );
    plot.current = u;
    const sizes = new ResizeObserver(() => {
      const width = Math.max(120, el.clientWidth);
      if (width !== u.width) u.setSize({ width, height });
    });
    sizes.observe(el);
    const off = onTheme(() => u.redraw(false, true));
    return () => {
      off();
      sizes.disconnect();
      u.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data, mark]);

  useEffect(() => {
    lines.forEach((l, i) => plot.current?.setSeries(i + 1, { show: !hidden.has(l.label) }));
  }, [hidden, shape]);

  const move = (e: KeyboardEvent) => {
    const u = plot.current;
    const xs = data[0];
    const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    if (!u || xs.length === 0 || (step === undefined && e.key !== "Escape")) return;
    e.preventDefault();
    if (step === undefined) {
      u.setCursor({ left: -10, top: -10 });
      return;
    }
    const next = at === null ? (step > 0 ? 0 : xs.length - 1) : Math.min(xs.length - 1, Math.max(0, at + step));
    u.setCursor({ left: u.valToPos(xs[next] ?? 0, "x"), top: u.over.clientHeight / 2 });
  };

  const read = (i: number): number | null => {
    const ys = data[i + 1] ?? [];
    if (at !== null) return ys[at] ?? null;
    for (let k = ys.length - 1; k >= 0; k--) if (ys[k] !== null && ys[k] !== undefined) return ys[k] as number;
    return null;
  };

  return (
    <figure class="chart">
      <figcaption>
        <b>{title}</b>
        {at !== null && data[0][at] !== undefined && (
          <span>
            {xLabel} {tickText(data[0][at] as number)}
          </span>
        )}
        {lines.map((l, i) => (
          <button
            type="button"
            key={l.label}
            class="key"
            aria-pressed={!hidden.has(l.label)}
            title={`show or hide ${l.label}`}
            onClick={() =>
              setHidden((old) => {
                const next = new Set(old);
                if (!next.delete(l.label)) next.add(l.label);
                return next;
              })
            }
          >
            <svg width="22" height="8" aria-hidden="true">
              <line x1="0" y1="4" x2="22" y2="4" stroke={`var(${l.color})`} stroke-width="2.5" stroke-dasharray={l.dash?.join(" ") ?? ""} />
            </svg>
            {l.label} <span class="value">{short(read(i))}</span>
          </button>
        ))}
      </figcaption>
      <div
        class="plot"
        ref={box}
        tabIndex={0}
        role="img"
        aria-label={`${title} over ${xLabel}: ${lines.map((l, i) => `${l.label} ${short(read(i))}`).join(", ")}. Arrow keys read values.`}
        onKeyDown={move}
      />
    </figure>
  );
}
