import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Problem, Progress, State, Status } from "../api";
import { duration, num, short, step } from "../format";

/** Address writes a step's address, what tells its instance from others below. */
export function Address({ of }: { of: string }) {
  const a = step(of);
  return (
    <>
      {a.name}
      {a.of && <span class="instance">{a.of}</span>}
    </>
  );
}

const marks: Record<string, string> = {
  completed: "✓", failed: "✕", cancelled: "⊘", running: "▶", pending: "…", skipped: "–", interrupted: "!", unknown: "?",
};

/** Badge tells a status by word, mark and colour. */
export function Badge({ status, state }: { status: Status; state?: State | undefined }) {
  const word = state === "interrupted" || state === "unknown" ? state : status;
  return (
    <span class={`badge ${word}`}>
      <span aria-hidden="true">{marks[word]}</span> {word}
    </span>
  );
}

/** done is how far a run is, from 0 to 1. */
export const done = (p: Progress): number => (p.epochs > 0 ? Math.min(1, (Math.max(0, p.epoch - 1) + (p.steps > 0 ? p.step / p.steps : 0)) / p.epochs) : 0);

/** Bar shows how far a run is. */
export function Bar({ progress: p }: { progress: Progress }) {
  return <progress max={1} value={done(p)} aria-label={`epoch ${p.epoch} of ${p.epochs}`} title={`${(100 * done(p)).toFixed(0)} %`} />;
}

export const eta = (p?: Progress): string => (p && num(p.eta_seconds) > 0 ? duration(num(p.eta_seconds)) : "–");

export function Tile({ label, value, note }: { label: string; value: string; note?: string }) {
  return (
    <div class="tile">
      <span>{label}</span>
      <b>{value}</b>
      <span>{note ?? ""}</span>
    </div>
  );
}

/** Failure says what could not be read. */
export function Failure({ error }: { error: Problem | undefined }) {
  if (!error) return null;
  return (
    <p class="warning" role="alert">
      {error.message}
    </p>
  );
}

export const Loading = () => <p class="muted" role="status">Loading…</p>;

export interface Tab {
  id: string;
  label: string;
  body: () => ComponentChildren;
}

/** Tabs: arrow keys walk, the chosen one stands in the address. */
export function Tabs({ tabs, chosen, choose }: { tabs: Tab[]; chosen: string; choose: (id: string) => void }) {
  const list = useRef<HTMLDivElement>(null);
  const at = Math.max(0, tabs.findIndex((t) => t.id === chosen));
  const step = (e: KeyboardEvent) => {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    const next = (to + tabs.length) % tabs.length;
    choose((tabs[next] as Tab).id);
    (list.current?.children[next] as HTMLElement | undefined)?.focus();
  };
  useEffect(() => {
    const el = list.current?.children[at] as HTMLElement | undefined;
    if (list.current && el && list.current.scrollWidth > list.current.clientWidth) list.current.scrollLeft = el.offsetLeft - 20;
  }, [at]);
  const tab = tabs[at] as Tab;
  return (
    <>
      <div class="tabs" role="tablist" ref={list} onKeyDown={step}>
        {tabs.map((t, i) => (
          <button type="button" key={t.id} role="tab" id={`tab-${t.id}`} aria-selected={i === at} aria-controls="tabpanel" tabIndex={i === at ? 0 : -1} onClick={() => choose(t.id)}>
            {t.label}
          </button>
        ))}
      </div>
      <div role="tabpanel" id="tabpanel" aria-labelledby={`tab-${tab.id}`}>
        {tab.body()}
      </div>
    </>
  );
}

/** metricsLine writes a few numbers in a row. */
export function best(metrics?: Record<string, unknown>): string {
  if (!metrics) return "–";
  const order = ["accuracy", "mAP", "map", "mAP50", "miou", "loss"];
  const names = Object.keys(metrics).sort((a, b) => rank(order, a) - rank(order, b));
  return names.slice(0, 1).map((n) => `${n} ${short(metrics[n] as number)}`).join(" ");
}

const rank = (order: string[], name: string): number => {
  const i = order.indexOf(name);
  return i < 0 ? order.length : i;
};
