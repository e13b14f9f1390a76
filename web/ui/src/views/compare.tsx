import { useEffect, useMemo, useState } from "preact/hooks";
import { get, Problem, type RunDetail, runPath, type Series } from "../api";
import { type Axis, byRank, lineOf, stepsPerEpoch } from "../curves";
import { num, short, value, words } from "../format";
import { useTitle } from "../hooks";
import { Address, Badge, Loading } from "../parts/common";
import { Chart, type Line } from "../parts/chart";
import { same } from "../parts/config";
import { Parallel } from "../parts/parallel";
import { href, type Route } from "../router";
import { dashes, palette } from "../theme";
import { Scroll } from "../parts/scroll";

interface Compared {
  run: RunDetail;
  series: Series[];
}

const most = 24;

/** Compare overlays runs: curves, configs, parallel coordinates. */
export function Compare({ route }: { route: Route }) {
  useTitle("Compare runs");
  const ids = (route.path[1] ?? "").split(",").filter((s) => s !== "").slice(0, most);
  const [list, setList] = useState<Compared[]>();
  const [error, setError] = useState("");
  const [axis, setAxis] = useState<Axis>("epoch");
  const [split, setSplit] = useState("val");
  const [all, setAll] = useState(false);
  const key = ids.join(",");
  useEffect(() => {
    const end = new AbortController();
    let timer = 0;
    const read = async () => {
      try {
        const got = await Promise.all(
          ids.map(async (id) => {
            const [run, m] = await Promise.all([get<RunDetail>(runPath(id), end.signal), get<{ series: Series[] }>(runPath(id, "/metrics?max_points=500"), end.signal)]);
            return { run, series: m.series };
          }),
        );
        setList(got);
        setError("");
        if (got.some((c) => c.run.state !== "ended")) timer = window.setTimeout(() => void read(), 3000);
      } catch (e) {
        if (end.signal.aborted) return;
        setError(e instanceof Problem ? e.message : String(e));
        timer = window.setTimeout(() => void read(), 5000);
      }
    };
    if (ids.length > 0) void read();
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, [key]);

  const names = useMemo(() => {
    return [...new Set(list?.flatMap((c) => c.series.filter((s) => !s.class).map((s) => s.name)))].sort(byRank);
  }, [list]);
  const splits = useMemo(() => [...new Set(list?.flatMap((c) => c.series.map((s) => s.split)))].filter(Boolean).sort(), [list]);
  const charts = useMemo(
    () =>
      names.map((name) => {
        const lines: Line[] = [];
        list?.forEach((c, i) => {
          const own = c.series.filter((s) => s.name === name && !s.class);
          const s = own.find((x) => x.split === split) ?? own[0];
          if (!s) return;
          lines.push({
            label: String(c.run.job_id),
            ...lookOf(i),
            ...lineOf(s, axis, stepsPerEpoch(c.series), 0, Date.parse(c.run.started ?? c.run.created)),
          });
        });
        return { name, lines };
      }),
    [list, names, axis, split],
  );

  if (ids.length === 0) {
    return (
      <>
        <h1>Compare runs</h1>
        <p>Tick runs in the <a href={href(["runs"])}>list</a> and choose Compare.</p>
      </>
    );
  }
  if (!list) return error ? <p class="warning" role="alert">{error}</p> : <Loading />;
  return (
    <>
      <h1>Compare {list.length} runs</h1>
      {error && <p class="warning" role="alert">{error}</p>}
      <ul class="legend">
        {list.map((c, i) => (
          <li key={c.run.run_id}>
            <Mark i={i} />
            <a href={href(["runs", String(c.run.job_id)])}>{c.run.job_id} <Address of={c.run.address} /></a> <Badge status={c.run.status} state={c.run.state} />
            {list.length > 1 && (
              <a class="remove" aria-label={`leave out job ${c.run.job_id}`} title="leave out" href={href(["compare", list.filter((x) => x !== c).map((x) => x.run.job_id).join(",")])}>✕</a>
            )}
          </li>
        ))}
      </ul>
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
          Of{" "}
          <select value={split} onChange={(e) => setSplit(e.currentTarget.value)}>
            {splits.map((s) => (
              <option key={s} value={s}>{s}</option>
            ))}
          </select>
        </label>
      </div>
      <div class="grid2">
        {charts.map((c) => (
          <Chart key={c.name} title={words(c.name)} xLabel={axis} lines={c.lines} sync="compare" />
        ))}
      </div>
      <section>
        <h2>Settings and outcome</h2>
        <Parallel items={list.map((c, i) => ({ label: `${c.run.job_id} ${c.run.address}`, color: palette[i % palette.length] as string, values: parameters(c.run) }))} />
      </section>
      <section>
        <div class="row spread">
          <h2>Configs</h2>
          <label class="check">
            <input type="checkbox" checked={all} onChange={(e) => setAll(e.currentTarget.checked)} /> also what is equal
          </label>
        </div>
        <Configs list={list} all={all} />
      </section>
    </>
  );
}

/** lookOf is how the i-th run is drawn everywhere: colours recur with other dashes. */
const lookOf = (i: number) => ({ color: palette[i % palette.length] as string, dash: dashes[(i + Math.floor(i / palette.length)) % dashes.length] });

function Mark({ i }: { i: number }) {
  const look = lookOf(i);
  return (
    <svg width="26" height="8" aria-hidden="true">
      <line x1="0" y1="4" x2="26" y2="4" stroke={`var(${look.color})`} stroke-width="3" stroke-dasharray={look.dash?.join(" ") ?? ""} />
    </svg>
  );
}

/** parameters are what a run was asked for and what came out, by name. */
function parameters(run: RunDetail): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [k, v] of Object.entries(run.requested ?? {})) {
    if (/^(dataset\.classes|kind|task|adapter|adapter\..*)$/.test(k)) continue;
    out[k.replace(/^config\./, "")] = v;
  }
  for (const [k, v] of Object.entries(run.metrics ?? {})) out[`→ ${k}`] = num(v);
  return out;
}

function Configs({ list, all }: { list: Compared[]; all: boolean }) {
  const asked = list.map((c) => c.run.requested ?? {});
  const names = [...new Set(asked.flatMap((a) => Object.keys(a)))].sort();
  const differing = names.filter((n) => asked.some((a) => !same(a[n], asked[0]?.[n])));
  const shown = all ? names : differing;
  const outcomes = [...new Set(list.flatMap((c) => Object.keys(c.run.metrics ?? {})))].sort();
  return (
    <Scroll label="Configs">
      {shown.length === 0 && <p class="muted">Nothing differs in what was asked for.</p>}
      <table class="list">
        <thead>
          <tr>
            <th>Field</th>
            {list.map((c, i) => (
              <th key={c.run.run_id}>
                <Mark i={i} /> {c.run.job_id}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((n) => (
            <tr key={n} class={differing.includes(n) ? "" : "quiet"}>
              <td><code>{n}</code></td>
              {asked.map((a, i) => (
                <td key={i} class="wrap">{value(a[n])}</td>
              ))}
            </tr>
          ))}
          {outcomes.map((n) => (
            <tr key={`m ${n}`} class="outcome">
              <td>{words(n)}</td>
              {list.map((c) => (
                <td key={c.run.run_id}>{short(c.run.metrics?.[n])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
