import { useEffect, useState } from "preact/hooks";
import { type Apply, type Diagnostic, type Plan, post, type Run } from "../api";
import { ago, took } from "../format";
import { useGet } from "../hooks";
import { Badge, Failure } from "./common";
import { PlanView } from "./graph";

interface Notice {
  type: string;
  plan?: Plan;
}

/** ApplyPanel tells of an apply that was handed to this server: where it is, its steps, why it ended. */
export function ApplyPanel({ id, runs }: { id: string; runs: Run[] }) {
  const path = `/api/v1/applies/${encodeURIComponent(id)}`;
  const got = useGet<Apply>(path, 2000);
  const apply = got.data;
  const begun = apply !== undefined && apply.takes > 0;
  // An apply that has begun is planned in a moment; one that ended may never have been.
  const [plan, setPlan] = useState<Plan>();
  const told = useGet<{ notices: Notice[] }>(begun ? `${path}/notices` : null, plan || apply?.state === "ended" ? 0 : 1000);
  const found = told.data?.notices.find((n) => n.plan)?.plan;
  useEffect(() => setPlan(found), [found]);
  const [failed, setFailed] = useState("");
  if (!apply) return got.error?.status === 404 ? null : <Failure error={got.error} />; // begun by a command, not by this server
  const act = (what: "stop" | "resume") => {
    setFailed("");
    post(`${path}/${what}`, {}).then(got.reload, (e: unknown) => setFailed(e instanceof Error ? e.message : String(e)));
  };
  const diagnostics = (apply.report as { diagnostics?: Diagnostic[] } | undefined)?.diagnostics ?? [];
  const states = new Map(runs.filter((r) => r.apply_id === id).map((r) => [r.address, r]));
  return (
    <section class="apply">
      <div class="row spread">
        <h2>
          Apply of {apply.pipeline} <Badge status={apply.status} />
        </h2>
        <span class="row">
          {apply.state !== "ended" && (
            <button type="button" disabled={apply.stopping} onClick={() => act("stop")}>{apply.stopping ? "Stopping…" : "Stop"}</button>
          )}
          {apply.state === "ended" && apply.status !== "completed" && <button type="button" onClick={() => act("resume")}>Go on</button>}
        </span>
      </div>
      <p class="muted">
        {apply.state === "queued" && `Queued ${ago(apply.queued)}; it starts when a worker is free.`}
        {apply.state === "running" && `Started ${ago(apply.started)}.`}
        {apply.state === "ended" && `Ended ${ago(apply.ended)}, took ${took(apply.started, apply.ended)}.`}
      </p>
      {failed && <p class="warning" role="alert">{failed}</p>}
      {apply.error && (
        <div class="warning" role="alert">
          <span class="pre">{apply.error}</span>
          {diagnostics.length > 0 && (
            <ul class="diagnostics">
              {diagnostics.map((d, i) => (
                <li key={i} class={d.severity}>
                  <b>{d.summary}</b> {d.range && <span class="muted">{d.range.filename} line {d.range.start.line}</span>}
                  <br />
                  <span class="pre">{d.detail}</span>
                </li>
              ))}
            </ul>
          )}
        </div>
      )}
      {plan && <PlanView plan={plan} states={states} />}
    </section>
  );
}
