import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { post, type RunDetail, type Series, type Validation } from "../api";
import { type Axis, byRank, lineOf, stepsPerEpoch } from "../curves";
import { duration, num, short, step, took, words } from "../format";
import { useTick, useTitle } from "../hooks";
import { useRun } from "../live";
import { Badge, Bar, done, eta, Loading, Tabs, Tile } from "../parts/common";
import { Chart, type Line } from "../parts/chart";
import { Config } from "../parts/config";
import { Files } from "../parts/files";
import { Logs } from "../parts/logs";
import { Results } from "../parts/results";
import { go, href, type Route } from "../router";

/** RunView shows one run, live. */
export function RunView({ route }: { route: Route }) {
  const id = route.path[1] ?? "";
  const tab = route.path[2] ?? "curves";
  const w = useRun(id);
  const run = w.run;
  const alive = run !== undefined && run.state !== "ended";
  useTick(1000, alive);
  useTitle(run ? `${alive && run.progress ? `${Math.floor(100 * done(run.progress))} %` : run.status} ${run.address}` : "Run");
  const best = useMemo(() => bestOf(w.validations, run), [w.validations, run]);
  if (!run) {
    return w.gone ? (
      <>
        <h1>Run</h1>
        <p class="warning" role="alert">{w.gone}</p>
        <p><a href={href(["runs"])}>All runs</a></p>
      </>
    ) : (
      <Loading />
    );
  }
  const v = best === undefined ? undefined : w.validations[best];
  const p = run.progress;
  const at = step(run.address);
  return (
    <>
      <div class="row spread">
        <h1>
          {at.name} <Badge status={run.status} state={run.state} />
          {at.of && <span class="instance">{at.of}</span>}
        </h1>
        {alive && <Stop run={run} />}
      </div>
      <p class="muted">
        Job {run.job_id} of <a href={href(["runs"], { pipeline: run.pipeline })}>{run.pipeline}</a> · <a href={href(["runs"], { apply: run.apply_id })}>its apply</a>
        {run.model && ` · ${run.model}`}
        {run.adapter && ` · adapter ${run.adapter}`}
        {run.task && ` · ${words(run.task)}`}
        {run.parent && (
          <>
            {" "}· goes on from <a href={href(["runs", run.parent])}>{run.parent}</a>
          </>
        )}
        {alive && <span class={`live ${w.connected ? "on" : ""}`}>{w.connected ? "live" : "connecting…"}</span>}
      </p>
      {run.error && (
        <p class="warning" role="alert">
          {run.cause ? `${run.cause}: ` : ""}
          <span class="pre">{run.error}</span>
        </p>
      )}
      {run.state === "interrupted" && <p class="warning">Nothing works on this run any more. <code>runner resume</code> goes on from its last checkpoint.</p>}
      <div class="tiles">
        {alive && p ? (
          <>
            <div class="tile wide">
              <span>
                epoch {p.epoch} of {p.epochs}, step {p.step} of {p.steps}
              </span>
              <b><Bar progress={p} /></b>
              <span>{short(p.images_per_second)} images/s</span>
            </div>
            <Tile label="time left" value={eta(p)} note={`${took(run.started)} so far`} />
            <Tile label="loss of this epoch" value={short(p.loss)} />
          </>
        ) : (
          <Tile label="took" value={took(run.started, run.ended)} note={`${run.attempts} attempt${run.attempts === 1 ? "" : "s"}`} />
        )}
        {v && <Tile label={`best ${words(v.primary_metric_name)}`} value={short(v.primary_metric_value)} note={`${v.split}, epoch ${v.epoch}`} />}
        {v && Number.isFinite(num(v.overall_loss)) && <Tile label="its loss" value={short(v.overall_loss)} note={v.split} />}
      </div>
      <Tabs
        chosen={tab}
        choose={(t) => go(href(["runs", id, t]), true)}
        tabs={[
          { id: "curves", label: "Curves", body: () => <Curves series={w.series} alive={alive} started={run.started} best={v} /> },
          { id: "results", label: "Results", body: () => <Results run={run.run_id} validations={w.validations} best={best} /> },
          { id: "config", label: "Config", body: () => <Config run={run} /> },
          { id: "logs", label: "Logs", body: () => <Logs run={run} alive={alive} news={w.news} series={w.series} /> },
          { id: "files", label: "Files", body: () => <Files run={run} news={w.news} /> },
        ]}
      />
    </>
  );
}

/** bestOf is the place of the best pass: by the metric the run watches, the first of equals. */
function bestOf(list: Validation[], run: RunDetail | undefined): number | undefined {
  const down = run?.requested?.mode === "min";
  let best: number | undefined;
  list.forEach((v, i) => {
    const x = num(v.primary_metric_value);
    if (!Number.isFinite(x)) return;
    const old = best === undefined ? NaN : num((list[best] as Validation).primary_metric_value);
    if (best === undefined || (down ? x < old : x > old)) best = i;
  });
  return best;
}

const splitColor: Record<string, string> = { train: "--c1", val: "--c2", test: "--c3" };
const splitDash: Record<string, number[] | undefined> = { train: undefined, val: [8, 4], test: [2, 3] };

function Curves({ series, alive, started, best }: { series: Series[]; alive: boolean; started: string | undefined; best: Validation | undefined }) {
  const [axis, setAxis] = useState<Axis>("epoch");
  const [log, setLog] = useState(false);
  const [smooth, setSmooth] = useState(0);
  const perEpoch = useMemo(() => stepsPerEpoch(series), [series]);
  const groups = useMemo(() => {
    const names = [...new Set(series.filter((s) => !s.class).map((s) => s.name))];
    names.sort(byRank);
    const start = started ? Date.parse(started) : 0;
    return names.map((name) => {
      const own = series.filter((s) => s.name === name && !s.class);
      const lines: Line[] = own.map((s, i) => ({
        label: s.split || name,
        color: splitColor[s.split] ?? `--c${4 + (i % 4)}`,
        dash: splitDash[s.split],
        ...lineOf(s, axis, perEpoch, smooth, start),
      }));
      return { name, lines };
    });
  }, [series, axis, smooth, perEpoch, started]);
  const mark = best === undefined ? undefined : axis === "epoch" ? best.epoch : axis === "step" ? best.global_step : undefined;
  if (groups.length === 0) return <p class="muted">{alive ? "The first epoch has not ended yet." : "This run reported no metrics."}</p>;
  return (
    <>
      <div class="row controls">
        <label>
          Over{" "}
          <select value={axis} onChange={(e) => setAxis(e.currentTarget.value as Axis)}>
            <option value="epoch">epochs</option>
            <option value="step">steps</option>
            <option value="minutes">minutes</option>
          </select>
        </label>
        <label>
          Smoothing{" "}
          <input type="range" min={0} max={0.95} step={0.05} value={smooth} onInput={(e) => setSmooth(Number(e.currentTarget.value))} />
        </label>
        <label class="check">
          <input type="checkbox" checked={log} onChange={(e) => setLog(e.currentTarget.checked)} /> logarithmic
        </label>
        <span class="muted">drag to zoom, double-click to leave</span>
      </div>
      <div class="grid2">
        {groups.map((g) => (
          <Chart key={g.name} title={words(g.name)} xLabel={axis} lines={g.lines} log={log} mark={mark} sync="run" />
        ))}
      </div>
      {mark !== undefined && <p class="muted">The dashed line is the best epoch so far.</p>}
    </>
  );
}

function Stop({ run }: { run: RunDetail }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => setSaid(""), [run.run_id]);
  const stop = async () => {
    dialog.current?.close();
    setBusy(true);
    try {
      await post(`/api/v1/training/jobs/${encodeURIComponent(run.run_id)}/stop`, {});
      setSaid("it writes a checkpoint and ends");
    } catch (e) {
      setSaid(e instanceof Error ? e.message : String(e));
    }
    setBusy(false);
  };
  return (
    <span class="row">
      {said && <span role="status">{said}</span>}
      <button type="button" disabled={busy} onClick={() => dialog.current?.showModal()}>
        {busy ? "Stopping…" : "Stop"}
      </button>
      <dialog ref={dialog} aria-labelledby="stop-title">
        <h2 id="stop-title">Stop {run.address}?</h2>
        <p>It writes a checkpoint first, and <code>runner resume</code> goes on from there.{run.progress ? ` It has run for ${duration((Date.now() - Date.parse(run.started ?? run.created)) / 1000)}.` : ""}</p>
        <div class="row">
          <button type="button" class="primary" onClick={() => void stop()}>Stop the run</button>
          <button type="button" onClick={() => dialog.current?.close()}>Let it run</button>
        </div>
      </dialog>
    </span>
  );
}
