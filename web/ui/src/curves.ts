import type { Point, Series } from "./api";
import { num } from "./format";
import type { Line } from "./parts/chart";

/** Axis is what a curve is drawn over. */
export type Axis = "epoch" | "step" | "minutes";

/** place tells curves apart. */
export const seriesKey = (s: { name: string; split: string; class?: string | undefined }): string => `${s.name}\u0000${s.split}\u0000${s.class ?? ""}`;

/** xsOf places points. Over epochs, several of one epoch are spread within it. */
function xOf(p: Point, axis: Axis, start: number, perEpoch: number): number {
  if (axis === "step") return p.global_step;
  if (axis === "minutes") return (Date.parse(p.time) - start) / 60000;
  return perEpoch > 0 ? p.global_step / perEpoch : p.epoch;
}

/** stepsPerEpoch is found where an epoch ends: its largest step. */
export function stepsPerEpoch(series: Series[]): number {
  let epoch = 0;
  let step = 0;
  for (const s of series) {
    if (s.split !== "val") continue;
    const last = s.points.at(-1);
    if (last && last.epoch > epoch) [epoch, step] = [last.epoch, last.global_step];
  }
  return epoch > 0 ? step / epoch : 0;
}

/** lineOf makes a curve; smooth in [0,1) is the weight of what came before. */
export function lineOf(s: Series, axis: Axis, perEpoch: number, smooth: number, start: number): Pick<Line, "xs" | "ys"> {
  const at = new Map<number, number | null>();
  let mean: number | null = null;
  for (const p of s.points) {
    if (p.superseded) continue;
    const y = num(p.value);
    if (!Number.isFinite(y)) {
      at.set(xOf(p, axis, start, perEpoch), null);
      continue;
    }
    mean = mean === null || smooth === 0 ? y : smooth * mean + (1 - smooth) * y;
    at.set(xOf(p, axis, start, perEpoch), mean);
  }
  const sorted = [...at].sort((a, b) => a[0] - b[0]);
  return { xs: sorted.map((p) => p[0]), ys: sorted.map((p) => p[1]) };
}

/** merge adds live points to curves; what lies before a curve's end is known already. */
export function addPoints(series: Series[], epoch: number, step: number, split: string, values: Record<string, number | string>, attempt: number, time: string): Series[] {
  let next = series;
  for (const [name, value] of Object.entries(values)) {
    const i = next.findIndex((s) => s.name === name && s.split === split && !s.class);
    const point: Point = { epoch, global_step: step, value: value as Point["value"], attempt, time };
    if (i < 0) {
      next = [...next, { name, split, points: [point] }];
      continue;
    }
    const old = next[i] as Series;
    const last = old.points.at(-1);
    if (last && last.global_step >= step) continue;
    next = next.slice();
    next[i] = { ...old, points: [...old.points, point] };
  }
  return next;
}

const order = ["loss", "accuracy", "map", "map50", "learning_rate"];
const rank = (n: string): number => (order.includes(n) ? order.indexOf(n) : n === "images_per_second" ? 99 : order.length);

/** byRank sorts metrics: what is looked at first comes first. */
export const byRank = (a: string, b: string): number => rank(a) - rank(b) || a.localeCompare(b);
