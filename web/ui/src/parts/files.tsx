import { type Artifact, type Checkpoint, runPath, type RunDetail } from "../api";
import { bytes, short, took, when } from "../format";
import { useGet } from "../hooks";
import { Badge, Failure } from "./common";
import { Scroll } from "./scroll";

/** Files lists checkpoints, artifacts and attempts. */
export function Files({ run, news }: { run: RunDetail; news: number }) {
  const saved = useGet<{ checkpoints: Checkpoint[] }>(runPath(run.run_id, `/checkpoints`), run.state === "ended" ? 0 : 3000 + 0 * news);
  const made = useGet<{ artifacts: Artifact[] }>(runPath(run.run_id, `/artifacts`), run.state === "ended" ? 0 : 5000);
  return (
    <>
      <section>
        <h2>Artifacts</h2>
        <Failure error={made.error} />
        {made.data?.artifacts.length === 0 && <p class="muted">None yet: they are made at the end.</p>}
        {made.data && made.data.artifacts.length > 0 && (
          <Scroll label="Files">
            <table class="list">
              <thead>
                <tr><th>File</th><th class="n">Size</th><th>SHA-256</th></tr>
              </thead>
              <tbody>
                {made.data.artifacts.map((a) => (
                  <tr key={a.name}>
                    <td class="wrap"><a download href={runPath(run.run_id, `/artifacts/${encodeURIComponent(a.name)}`)}>{a.name}</a></td>
                    <td class="n">{bytes(a.size)}</td>
                    <td><code title={a.sha256}>{a.sha256.slice(0, 16)}</code></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        )}
      </section>
      <section>
        <h2>Checkpoints</h2>
        <Failure error={saved.error} />
        {saved.data?.checkpoints.length === 0 && <p class="muted">None yet.</p>}
        {saved.data && saved.data.checkpoints.length > 0 && (
          <>
            <p class="muted">As they were announced; older ones may have been removed since, as the checkpoint block says.</p>
            <Scroll label="Files">
              <table class="list">
                <thead>
                  <tr><th>Name</th><th class="n">Epoch</th><th class="n">Step</th><th>Metrics</th><th class="n">Size</th><th>SHA-256</th></tr>
                </thead>
                <tbody>
                  {saved.data.checkpoints.map((c) => (
                    <tr key={`${c.name} ${c.global_step}`}>
                      <td class="wrap"><a download href={runPath(run.run_id, `/checkpoints/${encodeURIComponent(c.name)}`)}>{c.name}</a></td>
                      <td class="n">{c.epoch}</td>
                      <td class="n">{c.global_step}</td>
                      <td>{Object.entries(c.metrics ?? {}).map(([k, v]) => `${k} ${short(v)}`).join(", ")}</td>
                      <td class="n">{bytes(c.size)}</td>
                      <td><code title={c.sha256}>{c.sha256.slice(0, 16)}</code></td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </Scroll>
          </>
        )}
      </section>
      <section>
        <h2>Attempts</h2>
        <Scroll label="Files">
          <table class="list">
            <thead>
              <tr><th class="n">No.</th><th>Status</th><th>Started</th><th>Took</th><th class="n">Exit</th><th>Why it ended</th></tr>
            </thead>
            <tbody>
              {run.attempt_list.map((a) => (
                <tr key={a.number}>
                  <td class="n">{a.number}</td>
                  <td><Badge status={a.status} /></td>
                  <td class="nowrap">{when(a.started)}</td>
                  <td class="nowrap">{took(a.started, a.ended)}</td>
                  <td class="n">{a.ended ? a.exit_code : "–"}</td>
                  <td class="wrap">{[a.cause, a.error].filter(Boolean).join(": ") || "–"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      </section>
    </>
  );
}
