import type { Field } from "../api";
import { inPreset } from "../views/models";

/** Written are the values that the user wrote, by dotted name. */
export type Written = Record<string, unknown>;

export interface Effective {
  value: unknown;
  origin: "default" | "preset" | "you";
}

/** effective is what counts: what was written, else the preset's, else the default. */
export function effective(fields: Field[], preset: unknown, written: Written): Map<string, Effective> {
  const out = new Map<string, Effective>();
  for (const f of fields) {
    const p = inPreset(preset, f.name);
    if (written[f.name] !== undefined) out.set(f.name, { value: written[f.name], origin: "you" });
    else if (p !== undefined) out.set(f.name, { value: p, origin: "preset" });
    else out.set(f.name, { value: f.default, origin: "default" });
  }
  return out;
}

/** active tells whether a field counts: its condition holds, and its controlling field is active. */
export function active(fields: Field[], values: Map<string, Effective>, name: string, depth = 0): boolean {
  const f = fields.find((x) => x.name === name);
  if (!f) return false;
  if (!f.condition || depth > 20) return true;
  const controlling = f.condition.field;
  const v = values.get(controlling)?.value;
  const allowed = Array.isArray(f.condition.value) ? f.condition.value : [f.condition.value];
  return allowed.includes(v) && active(fields, values, controlling, depth + 1);
}

/** wrong says what a field's value lacks, as the server will; "" = nothing. */
export function wrong(f: Field, v: unknown): string {
  if (v === undefined || v === null) return "";
  const one = (x: unknown): string => {
    if (typeof x === "number") {
      if (f.min !== undefined && x < f.min) return `at least ${f.min}`;
      if (f.max !== undefined && x > f.max) return `at most ${f.max}`;
    }
    return "";
  };
  if (f.type === "list") return (Array.isArray(v) ? v : [v]).map(one).find((s) => s !== "") ?? "";
  if ((f.type === "number" || f.type === "integer") && typeof v !== "number") return "a number";
  if (f.type === "integer" && !Number.isInteger(v)) return "a whole number";
  return one(v);
}

/** read makes a value of what was typed; undefined leaves the field unset. */
export function read(f: Field, typed: string): unknown {
  const t = typed.trim();
  if (t === "") return undefined;
  if (f.type === "number" || f.type === "integer") return Number.isNaN(Number(t)) ? t : Number(t);
  if (f.type === "list") {
    return t
      .split(",")
      .map((s) => s.trim())
      .filter((s) => s !== "")
      .map((s) => (s === "true" ? true : s === "false" ? false : Number.isNaN(Number(s)) ? s : Number(s)));
  }
  return typed;
}
