import { useEffect, useMemo, useState } from "preact/hooks";
import type { Run, RunList, StatusList } from "../api";
import { ago, took, when } from "../format";
import { useGet, useTitle } from "../hooks";
import { Address, Badge, Bar, best, eta, Failure, Loading } from "../parts/common";
import { go, href, type Route } from "../router";
import { ApplyPanel } from "../parts/apply";
import { Scroll } from "../parts/scroll";

const statuses = ["running", "pending", "completed", "failed", "cancelled", "skipped"];
const asked = ["pipeline", "address", "status", "branch", "commit", "apply"] as const;

/** Runs lists runs, newest first; its filters stand in the address. */
export function Runs({ route }: { route: Route }) {
  useTitle("Runs");
  const q = route.query;
  const filters = Object.fromEntries(asked.map((n) => [n, q.get(n) ?? ""])) as Record<(typeof asked)[number], string>;
  const text = q.get("text") ?? "";
  const offset = Number(q.get("offset") ?? "0") || 0;
  const [chosen, setChosen] = useState<ReadonlySet<number>>(new Set());

  const query = new URLSearchParams({ limit: "50", offset: String(offset) });
  for (const n of asked) if (filters[n]) query.set(n, filters[n]);
  const list = useGet<RunList>(`/api/v1/runs?${query}`, 2000);
  const status = useGet<StatusList>("/api/v1/status", 4000);
  const states = useMemo(() => new Map(status.data?.runs.map((r) => [r.run_id, r])), [status.data]);
  const pipelines = useMemo(() => [...new Set(status.data?.runs.map((r) => r.pipeline))].sort(), [status.data]);

  const set = (name: string, value: string) => {
    const next: Record<string, string> = { ...filters, text, [name]: value };
    go(href(["runs"], next), true);
  };
  useEffect(() => setChosen(new Set()), [filters.pipeline]);

  const runs = (list.data?.runs ?? []).filter((r) => matches(r, text));
  const toggle = (job: number) =>
    setChosen((old) => {
      const next = new Set(old);
      if (!next.delete(job)) next.add(job);
      return next;
    });
  const filtered = text !== "" || asked.some((n) => filters[n] !== "");
  return (
    <>
      <div class="row spread">
        <h1>Runs</h1>
        {status.data && status.data.total > 0 && (
          <p class="counts">
            {statuses
              .filter((s) => status.data?.count[s])
              .map((s) => (
                <button type="button" key={s} class={`badge ${s}`} aria-pressed={filters.status === s} onClick={() => set("status", filters.status === s ? "" : s)}>
                  {status.data?.count[s]} {s}
                </button>
              ))}
            <span class="muted"> newest of every step</span>
          </p>
        )}
      </div>
      <form class="filters" role="search" onSubmit={(e) => e.preventDefault()}>
        <label>
          Find
          <input type="search" value={text} placeholder="address, model, id, error" onInput={(e) => set("text", e.currentTarget.value)} />
        </label>
        <label>
          Pipeline
          <select value={filters.pipeline} onChange={(e) => set("pipeline", e.currentTarget.value)}>
            <option value="">all</option>
            {pipelines.map((p) => (
              <option key={p} value={p}>{p}</option>
            ))}
            {filters.pipeline && !pipelines.includes(filters.pipeline) && <option value={filters.pipeline}>{filters.pipeline}</option>}
          </select>
        </label>
        <label>
          Status
          <select value={filters.status} onChange={(e) => set("status", e.currentTarget.value)}>
            <option value="">all</option>
            {statuses.map((s) => (
              <option key={s} value={s}>{s}</option>
            ))}
          </select>
        </label>
        <label>
          Step
          <input value={filters.address} placeholder="train.baseline" onChange={(e) => set("address", e.currentTarget.value)} />
        </label>
        <label>
          Branch
          <input value={filters.branch} onChange={(e) => set("branch", e.currentTarget.value)} />
        </label>
        <label>
          Commit
          <input value={filters.commit} placeholder="in full" onChange={(e) => set("commit", e.currentTarget.value)} />
        </label>
        {filters.apply && (
          <label>
            Apply
            <input value={filters.apply} onChange={(e) => set("apply", e.currentTarget.value)} />
          </label>
        )}
        {filtered && <a href={href(["runs"])}>Clear</a>}
      </form>
      {filters.apply && <ApplyPanel id={filters.apply} runs={list.data?.runs ?? []} />}
      <Failure error={list.error} />
      {!list.data && !list.error && <Loading />}
      {list.data && runs.length === 0 && (
        <div class="empty">
          {filters.apply ? <p>Its runs come here.</p> : filtered ? <p>No run matches.</p> : <p>Nothing has run yet. <code>runner apply</code> starts a pipeline, or <a href={href(["new"])}>make a new one</a>.</p>}
        </div>
      )}
      {runs.length > 0 && (
        <>
          <div class="row">
            <a class={`button${chosen.size < 2 ? " off" : ""}`} aria-disabled={chosen.size < 2} href={chosen.size < 2 ? undefined : href(["compare", [...chosen].sort((a, b) => a - b).join(",")])}>
              Compare {chosen.size > 1 ? chosen.size : ""}
            </a>
            <span class="muted">{chosen.size < 2 ? "tick two or more runs" : ""}</span>
          </div>
          <Scroll label="Runs">
            <table class="list runs">
              <thead>
                <tr>
                  <th><span class="sr">Compare</span></th>
                  <th class="n">Job</th>
                  <th>Step</th>
                  <th>Pipeline</th>
                  <th>Model</th>
                  <th>Status</th>
                  <th>Progress</th>
                  <th>Best</th>
                  <th>Started</th>
                  <th>Took</th>
                </tr>
              </thead>
              <tbody>
                {runs.map((r) => (
                  <RunRow key={r.run_id} run={r} state={states.get(r.run_id)?.state} best={r.metrics ?? states.get(r.run_id)?.best} chosen={chosen.has(r.job_id)} toggle={() => toggle(r.job_id)} />
                ))}
              </tbody>
            </table>
          </Scroll>
        </>
      )}
      {(offset > 0 || list.data?.next_offset !== undefined) && (
        <p class="row">
          {offset > 0 && <a href={href(["runs"], { ...filters, text, offset: String(Math.max(0, offset - 50)) })}>← newer</a>}
          {list.data?.next_offset !== undefined && <a href={href(["runs"], { ...filters, text, offset: String(list.data.next_offset) })}>older →</a>}
        </p>
      )}
    </>
  );
}

const matches = (r: Run, text: string): boolean =>
  text === "" || [r.address, r.pipeline, r.model, r.run_id, String(r.job_id), r.error, r.adapter].some((s) => s?.toLowerCase().includes(text.toLowerCase()));

function RunRow({ run: r, state, best: metrics, chosen, toggle }: { run: Run; state: StatusList["runs"][number]["state"] | undefined; best: Record<string, unknown> | undefined; chosen: boolean; toggle: () => void }) {
  const running = r.status === "running";
  return (
    <tr>
      <td>
        <input type="checkbox" checked={chosen} onChange={toggle} aria-label={`compare job ${r.job_id}`} />
      </td>
      <td class="n">{r.job_id}</td>
      <td class="wrap">
        <a href={href(["runs", String(r.job_id)])}><Address of={r.address} /></a>
      </td>
      <td class="wrap">{r.pipeline}</td>
      <td class="wrap">{r.model ?? "–"}</td>
      <td title={r.error}>
        <Badge status={r.status} state={state} />
      </td>
      <td>
        {running && r.progress ? (
          <>
            <Bar progress={r.progress} /> <span class="muted">ETA {eta(r.progress)}</span>
          </>
        ) : (
          ""
        )}
      </td>
      <td class="nowrap">{best(metrics)}</td>
      <td class="nowrap" title={when(r.started)}>{ago(r.started)}</td>
      <td class="nowrap">{took(r.started, r.ended)}</td>
    </tr>
  );
}
