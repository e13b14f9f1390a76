import { useMemo, useState } from "preact/hooks";
import type { Plan, Run } from "../api";
import { step as parts, value } from "../format";
import { href } from "../router";
import { Address, Badge } from "./common";
import { Scroll } from "./scroll";

interface Node {
  id: string;
  kind: string;
  note: string;
  needs: string[];
}

/** PlanView shows a plan: its steps as a graph, and why each will run; with states, what became of them. */
export function PlanView({ plan, states }: { plan: Plan; states?: ReadonlyMap<string, Run> }) {
  const nodes = useMemo<Node[]>(
    () => [
      ...plan.steps.map((s) => ({ id: s.address, kind: s.kind, note: states?.get(s.address)?.status ?? s.action, needs: s.needs ?? [] })),
      ...(plan.checks ?? []).map((c) => ({ id: c.address, kind: "check", note: c.state, needs: c.known_after ?? [] })),
      ...(plan.outputs ?? []).map((o) => ({ id: `output.${o.name}`, kind: "output", note: "", needs: o.known_after ?? [] })),
    ],
    [plan, states],
  );
  const [at, setAt] = useState<string | null>(null);
  const step = plan.steps.find((s) => s.address === at);
  return (
    <>
      {!states && <p>{plan.changes ? `${plan.steps.filter((s) => s.action !== "reuse").length} of ${plan.steps.length} steps have something to do.` : "Nothing to do: every result is there already."}</p>}
      <Graph nodes={nodes} chosen={at} choose={setAt} />
      <Scroll label="Plan">
        <table class="list">
          <thead>
            <tr><th>Step</th><th>{states ? "State" : "Action"}</th><th>Why</th></tr>
          </thead>
          <tbody>
            {plan.steps.map((s) => (
              <tr key={s.address} class={s.address === at ? "chosen" : ""}>
                <td class="wrap"><RunLink run={states?.get(s.address)} address={s.address} /></td>
                <td>{states?.get(s.address) ? <Badge status={(states.get(s.address) as Run).status} /> : <span class={`badge ${s.action === "reuse" ? "completed" : "running"}`}>{s.action}</span>}</td>
                <td class="wrap">{s.reason}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {step?.changes && step.changes.length > 0 && (
        <Scroll label="Plan">
          <h3>What changed of {step.address}</h3>
          <table class="list">
            <thead>
              <tr><th>Field</th><th>Before</th><th>Now</th><th>Effect</th></tr>
            </thead>
            <tbody>
              {step.changes.map((c) => (
                <tr key={c.field}>
                  <td><code>{c.field}</code></td>
                  <td class="wrap"><del>{value(c.old)}</del></td>
                  <td class="wrap"><ins>{value(c.new)}</ins></td>
                  <td class="wrap">{c.effect ?? c.resume}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </>
  );
}

function RunLink({ run, address }: { run: Run | undefined; address: string }) {
  return run ? <a href={href(["runs", String(run.job_id)])}><Address of={address} /></a> : <Address of={address} />;
}

const boxWidth = 210;
const boxHeight = 46;

const clip = (s: string, n: number): string => (s.length > n ? `${s.slice(0, n - 1)}…` : s);

/** Graph draws nodes in columns: each stands right of what it needs. */
export function Graph({ nodes, chosen, choose }: { nodes: Node[]; chosen: string | null; choose: (id: string | null) => void }) {
  const placed = useMemo(() => {
    const by = new Map(nodes.map((n) => [n.id, n]));
    const depth = new Map<string, number>();
    const deep = (id: string, seen: Set<string>): number => {
      const known = depth.get(id);
      if (known !== undefined) return known;
      if (seen.has(id)) return 0;
      seen.add(id);
      const d = Math.max(-1, ...(by.get(id)?.needs ?? []).filter((n) => by.has(n)).map((n) => deep(n, seen))) + 1;
      depth.set(id, d);
      return d;
    };
    const rows = new Map<number, number>();
    const at = new Map<string, { x: number; y: number }>();
    for (const n of nodes) {
      const d = deep(n.id, new Set());
      const row = rows.get(d) ?? 0;
      rows.set(d, row + 1);
      at.set(n.id, { x: 10 + d * (boxWidth + 70), y: 10 + row * (boxHeight + 18) });
    }
    return { at, width: 20 + boxWidth + Math.max(0, ...depth.values()) * (boxWidth + 70), height: 10 + Math.max(1, ...rows.values()) * (boxHeight + 18) };
  }, [nodes]);
  if (nodes.length === 0) return null;
  return (
    <Scroll label="Plan">
      <svg class="graph" width={placed.width} height={placed.height} viewBox={`0 0 ${placed.width} ${placed.height}`} role="group" aria-label="Steps and what they wait for">
        {nodes.flatMap((n) =>
          n.needs.flatMap((need) => {
            const a = placed.at.get(need);
            const b = placed.at.get(n.id);
            if (!a || !b) return [];
            const [x1, y1, x2, y2] = [a.x + boxWidth, a.y + boxHeight / 2, b.x, b.y + boxHeight / 2];
            return [<path key={`${need}>${n.id}`} class={chosen === n.id || chosen === need ? "strong" : ""} d={`M${x1} ${y1} C${x1 + 35} ${y1} ${x2 - 35} ${y2} ${x2} ${y2}`} />];
          }),
        )}
        {nodes.map((n) => {
          const p = placed.at.get(n.id);
          if (!p) return null;
          return (
            <g key={n.id} class={`node ${n.kind} ${n.note}${chosen === n.id ? " chosen" : ""}`} transform={`translate(${p.x} ${p.y})`} tabindex={0} role="img" aria-label={`${n.id}, ${n.note || n.kind}${n.needs.length ? `, after ${n.needs.join(", ")}` : ""}`} onFocus={() => choose(n.id)} onPointerDown={() => choose(n.id)}>
              <rect width={boxWidth} height={boxHeight} rx={n.kind === "check" ? 20 : 6} />
              <text x={12} y={19}>{clip(parts(n.id).name, 27)}</text>
              <text x={12} y={36} class="note">{clip([n.note || n.kind, parts(n.id).of].filter(Boolean).join(" · "), 30)}</text>
              <title>{n.id}</title>
            </g>
          );
        })}
      </svg>
    </Scroll>
  );
}
