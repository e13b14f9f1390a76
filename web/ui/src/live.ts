import { useEffect, useRef, useState } from "preact/hooks";
import { get, Problem, type MetricsEvent, type Progress, type RunDetail, runPath, type Series, type StepEvent, type Validation } from "./api";
import { addPoints } from "./curves";
import { needLogin } from "./hooks";

/** Watched is a run as it is now. */
export interface Watched {
  run: RunDetail | undefined;
  series: Series[];
  validations: Validation[];
  connected: boolean;
  gone: string; // why it cannot be shown
  news: number; // counts what was announced: checkpoints, messages, results
}

/**
 * useRun reads a run, and while it has not ended follows its events. Events
 * only add: what is known is not read again, but after a restart from a
 * checkpoint (resumed), which takes points back.
 */
export function useRun(id: string): Watched {
  const [run, setRun] = useState<RunDetail>();
  const [series, setSeries] = useState<Series[]>([]);
  const [validations, setValidations] = useState<Validation[]>([]);
  const [connected, setConnected] = useState(false);
  const [gone, setGone] = useState("");
  const [news, setNews] = useState(0);
  const [turn, setTurn] = useState(0);
  const known = useRef(new Set<string>());

  useEffect(() => {
    const end = new AbortController();
    let source: EventSource | undefined;
    let retry = 0;
    const readRun = () =>
      get<RunDetail>(runPath(id), end.signal).then((r) => {
        setRun(r);
        return r;
      });
    const readCurves = async () => {
      const [m, v] = await Promise.all([
        get<{ series: Series[] }>(runPath(id, "/metrics"), end.signal),
        get<{ validations: Validation[] }>(runPath(id, "/validation"), end.signal),
      ]);
      known.current = new Set(v.validations.map(place));
      setSeries(m.series);
      setValidations(v.validations);
    };
    const quiet = (p: Promise<unknown>) => void p.catch(() => undefined); // the next event tries again

    const follow = () => {
      source = new EventSource(runPath(id, "/events"));
      const on = <T>(name: string, f: (data: T) => void) =>
        source?.addEventListener(name, (e) => f(JSON.parse((e as MessageEvent<string>).data) as T));
      source.onopen = () => setConnected(true);
      source.onerror = () => setConnected(false); // the browser comes back with the last event id
      on<Progress>("progress", (p) => setRun((r) => (r ? { ...r, progress: p } : r)));
      on<StepEvent>("metrics", (e) => {
        const m = e.metrics as MetricsEvent;
        setSeries((s) => addPoints(s, m.epoch, m.global_step, m.split, m.values, e.attempt, e.time));
      });
      on<StepEvent>("validation", (e) => {
        const v = e.validation as Validation;
        if (known.current.has(place(v))) return;
        known.current.add(place(v));
        setValidations((old) => [...old, v]);
      });
      on<StepEvent>("resumed", () => quiet(readCurves()));
      for (const name of ["config_applied", "status"]) on(name, () => quiet(readRun()));
      for (const name of ["checkpoint", "message", "result"]) on(name, () => setNews((n) => n + 1));
      on("run", () => quiet(readRun()));
      on("end", () => {
        source?.close();
        setConnected(false);
        quiet(Promise.all([readRun(), readCurves()]));
        setNews((n) => n + 1);
      });
    };

    Promise.all([readRun(), readCurves()]).then(
      ([r]) => {
        setGone("");
        if (r.state !== "ended") follow();
      },
      (e: unknown) => {
        if (end.signal.aborted) return;
        if (e instanceof Problem && e.status === 401) needLogin.dispatchEvent(new Event("login"));
        setGone(e instanceof Error ? e.message : String(e));
        retry = window.setTimeout(() => setTurn((n) => n + 1), 3000);
      },
    );
    return () => {
      end.abort();
      clearTimeout(retry);
      source?.close();
      setConnected(false);
    };
  }, [id, turn]);

  return { run, series, validations, connected, gone, news };
}

const place = (v: Validation): string => `${v.split}/${v.epoch}/${v.global_step}`;
