import type { Num } from "./api";

export function num(v: Num | undefined | null): number {
  if (typeof v === "number") return v;
  if (v === "Infinity") return Infinity;
  if (v === "-Infinity") return -Infinity;
  return NaN;
}

/** short writes a measured number in at most about six characters. */
export function short(v: Num | undefined | null): string {
  if (v === undefined || v === null) return "–";
  const x = num(v);
  if (!Number.isFinite(x)) return String(v);
  if (x === 0) return "0";
  const a = Math.abs(x);
  if (a >= 1e6 || a < 1e-4) return x.toExponential(2);
  if (a < 0.01) return String(Number(x.toPrecision(3)));
  if (Number.isInteger(x)) return String(x);
  return a >= 100 ? x.toFixed(1) : a >= 10 ? x.toFixed(2) : a >= 1 ? x.toFixed(3) : x.toFixed(4);
}

export function percent(v: Num | undefined | null): string {
  const x = num(v);
  return Number.isFinite(x) ? `${(100 * x).toFixed(1)} %` : "–";
}

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function took(started?: string, ended?: string): string {
  if (!started) return "–";
  return duration(((ended ? Date.parse(ended) : Date.now()) - Date.parse(started)) / 1000);
}

export function ago(time?: string): string {
  if (!time) return "–";
  const s = (Date.now() - Date.parse(time)) / 1000;
  if (s < 5) return "now";
  if (s < 90) return `${Math.round(s)} s ago`;
  if (s < 5400) return `${Math.round(s / 60)} min ago`;
  if (s < 129600) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86400)} d ago`;
}

export function when(time?: string): string {
  return time ? new Date(time).toLocaleString() : "–";
}

export function bytes(n?: number): string {
  if (!n) return "–";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000;
    i++;
  }
  return `${i === 0 ? n : n.toFixed(n < 10 ? 1 : 0)} ${units[i]}`;
}

/** value writes a config value as HCL would. */
export function value(v: unknown): string {
  if (v === undefined || v === null) return "–";
  if (typeof v === "string") return v;
  if (typeof v === "number" || typeof v === "boolean") return String(v);
  return JSON.stringify(v);
}

/** step takes an address apart: train.search["lr=0.1,seed=2"] is train.search of lr=0.1 and seed=2. */
export function step(address: string): { name: string; of: string } {
  const m = /^([^[]+)\["(.*)"\]$/s.exec(address);
  return m ? { name: m[1] as string, of: (m[2] as string).replaceAll("config.", "").replaceAll(",", ", ") } : { name: address, of: "" };
}

/** words turns learning_rate into "learning rate". */
export const words = (name: string): string => name.replaceAll("_", " ");
