import type { Applied, RunDetail, RunList } from "../api";
import { runPath } from "../api";
import { value } from "../format";
import { useGet } from "../hooks";
import { href } from "../router";
import { Scroll } from "./scroll";

/** same compares config values; 5 and 5.0 are one. */
export const same = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

interface Row {
  name: string;
  asked: unknown;
  has: boolean; // it was asked for
  got: unknown;
  note: string;
  differs: boolean;
}

function rows(asked: Record<string, unknown>, applied: Applied | undefined): Row[] {
  const values: Record<string, unknown> = { ...applied?.attributes, ...applied?.values };
  const names = new Map<string, string>(); // as applied -> as asked
  for (const n of Object.keys(asked)) names.set(n.replace(/^config\./, "").replace(/^model\./, ""), n);
  if (names.has("learning_rate") && "optimizer.learning_rate" in values) names.set("optimizer.learning_rate", "learning_rate");
  const all = [...new Set([...names.keys(), ...Object.keys(values)])].filter((n) => !/^(dataset|adapter|kind|task|name)\b/.test(n)).sort();
  return all.map((name) => {
    const key = names.get(name);
    const want = key === undefined ? undefined : asked[key];
    const got = values[name];
    const why = applied?.unsupported?.[name];
    const found = name in values;
    const auto = name === "device" && want === "auto";
    return {
      name,
      asked: want,
      has: key !== undefined,
      got,
      note: why ? `no effect here: ${why}` : key === undefined ? "not asked for" : "",
      differs: key !== undefined && found && !auto && !why && !same(want, got),
    };
  });
}

/** Config compares what was asked for with what was built, and with the run before. */
export function Config({ run }: { run: RunDetail }) {
  const applied = [...run.attempt_list].reverse().find((a) => a.applied)?.applied;
  const asked = run.requested ?? {};
  const list = rows(asked, applied);
  const differing = list.filter((r) => r.differs);
  return (
    <>
      <section>
        <h2>Asked for and applied</h2>
        {applied ? (
          <p class={differing.length ? "warning" : "good"}>
            {differing.length
              ? `${differing.length} applied values differ from what was asked for.`
              : "Every value in force is the one that was asked for"}
            {differing.length === 0 && (applied.proof === "objects" ? ", read back from the objects that were built." : ", as far as the adapter read them.")}
          </p>
        ) : (
          <p class="muted">The adapter has not reported yet what it built.</p>
        )}
        <Scroll label="Config">
          <table class="list">
            <thead>
              <tr><th>Field</th><th>Asked for</th><th>Applied</th><th>Note</th></tr>
            </thead>
            <tbody>
              {list.map((r) => (
                <tr key={r.name} class={r.differs ? "differs" : r.note ? "quiet" : ""}>
                  <td><code>{r.name}</code></td>
                  <td class="wrap">{r.has ? value(r.asked) : "–"}</td>
                  <td class="wrap">{applied ? value(r.got) : ""}</td>
                  <td class="wrap">{r.differs ? "differs" : r.note}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      </section>
      {applied?.environment && (
        <section>
          <h2>Environment</h2>
          <dl class="numbers">
            {Object.entries(applied.environment).map(([k, v]) => (
              <div key={k}>
                <dt>{k}</dt>
                <dd class="wrap">{v}</dd>
              </div>
            ))}
          </dl>
        </section>
      )}
      <Before run={run} />
    </>
  );
}

/** Before tells what changed since the run before at the same step, or the parent. */
function Before({ run }: { run: RunDetail }) {
  const q = new URLSearchParams({ pipeline: run.pipeline, address: run.address, limit: "200" });
  const list = useGet<RunList>(`/api/v1/runs?${q}`);
  const before = run.parent ? { run_id: run.parent } : list.data?.runs.find((r) => r.job_id < run.job_id);
  const old = useGet<RunDetail>(before ? runPath(before.run_id) : null);
  return (
    <section>
      <h2>What changed since the run before</h2>
      {list.data && !before && <p class="muted">This is the first run of {run.address}.</p>}
      {old.data && (
        <>
          <p>
            Compared with <a href={href(["runs", String(old.data.job_id)])}>job {old.data.job_id}</a>
            {run.parent ? ", from which this run goes on" : ""} ({old.data.status}).{" "}
            <a href={href(["compare", `${old.data.job_id},${run.job_id}`])}>Overlay their curves</a>
          </p>
          <Difference before={old.data.requested ?? {}} after={run.requested ?? {}} />
        </>
      )}
    </section>
  );
}

function Difference({ before, after }: { before: Record<string, unknown>; after: Record<string, unknown> }) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().filter((n) => !same(before[n], after[n]));
  if (names.length === 0) return <p class="muted">Nothing that decides its numbers.</p>;
  return (
    <Scroll label="Config">
      <table class="list">
        <thead>
          <tr><th>Field</th><th>Before</th><th>Now</th></tr>
        </thead>
        <tbody>
          {names.map((n) => (
            <tr key={n}>
              <td><code>{n}</code></td>
              <td class="wrap"><del>{value(before[n])}</del></td>
              <td class="wrap"><ins>{value(after[n])}</ins></td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
