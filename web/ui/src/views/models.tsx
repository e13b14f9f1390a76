import { useMemo, useState } from "preact/hooks";
import type { ConfigSchema, Field, Model } from "../api";
import { value, words } from "../format";
import { useGet, useTitle } from "../hooks";
import { Failure, Loading } from "../parts/common";
import { go, href, type Route } from "../router";
import { Scroll } from "../parts/scroll";

/** Models lists what can be trained, and what each adapter can be told. */
export function Models({ route }: { route: Route }) {
  useTitle("Models");
  const list = useGet<{ models: Model[] }>("/api/v1/models/list");
  const adapters = useMemo(() => [...new Set(list.data?.models.map((m) => m.framework))].sort(), [list.data]);
  const tasks = useMemo(() => [...new Set(list.data?.models.flatMap((m) => m.task_types))].sort(), [list.data]);
  const adapter = route.query.get("adapter") ?? "";
  const task = route.query.get("task") ?? "";
  const [find, setFind] = useState("");
  const [shown, setShown] = useState(50);
  const set = (name: string, v: string) => go(href(["models"], { adapter, task, [name]: v }), true);
  const models = (list.data?.models ?? []).filter(
    (m) =>
      (adapter === "" || m.framework === adapter) &&
      (task === "" || m.task_types.includes(task)) &&
      (find === "" || `${m.model_name} ${m.description ?? ""}`.toLowerCase().includes(find.toLowerCase())),
  );
  const one = adapter || (adapters.length === 1 ? (adapters[0] ?? "") : "");
  return (
    <>
      <h1>Models and adapters</h1>
      <form class="filters" role="search" onSubmit={(e) => e.preventDefault()}>
        <label>
          Find
          <input type="search" value={find} onInput={(e) => setFind(e.currentTarget.value)} />
        </label>
        <label>
          Adapter
          <select value={adapter} onChange={(e) => set("adapter", e.currentTarget.value)}>
            <option value="">all</option>
            {adapters.map((a) => (
              <option key={a} value={a}>{a}</option>
            ))}
          </select>
        </label>
        <label>
          Task
          <select value={task} onChange={(e) => set("task", e.currentTarget.value)}>
            <option value="">all</option>
            {tasks.map((t) => (
              <option key={t} value={t}>{words(t)}</option>
            ))}
          </select>
        </label>
      </form>
      <Failure error={list.error} />
      {!list.data && !list.error && <Loading />}
      {list.data && adapter === "" && find === "" && (
        <ul class="cards">
          {adapters.map((a) => (
            <AdapterCard key={a} name={a} models={list.data?.models.filter((m) => m.framework === a) ?? []} />
          ))}
        </ul>
      )}
      {one !== "" && <Schema adapter={one} task={task} />}
      {list.data && (
        <Scroll label="Table">
          <h2>{models.length} {models.length === 1 ? "model" : "models"}</h2>
          <table class="list models">
            <thead>
              <tr><th>Model</th><th>Adapter</th><th>Task</th><th class="n">Parameters</th><th class="n">Image size</th><th>Pretrained</th><th>License</th><th>What it is</th></tr>
            </thead>
            <tbody>
              {models.slice(0, shown).map((m) => (
                <tr key={`${m.framework} ${m.model_name}`}>
                  <td><a href={href(["new"], { adapter: m.framework, model: m.model_name })}>{m.model_name}</a></td>
                  <td>{m.framework}</td>
                  <td class="nowrap">{m.task_types.map(words).join(", ")}</td>
                  <td class="n">{m.parameters ?? "–"}</td>
                  <td class="n">{m.default_image_size ?? "–"}</td>
                  <td>{m.pretrained ? "yes" : "no"}</td>
                  <td class="nowrap">{m.license ?? "–"}</td>
                  <td class="wrap">{m.description}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {models.length === 0 && <p class="muted">No model matches.</p>}
          {models.length > shown && <button type="button" onClick={() => setShown(shown + 200)}>{models.length - shown} more</button>}
        </Scroll>
      )}
    </>
  );
}

function AdapterCard({ name, models }: { name: string; models: Model[] }) {
  const tasks = new Map<string, number>();
  for (const m of models) for (const t of m.task_types) tasks.set(t, (tasks.get(t) ?? 0) + 1);
  const licenses = [...new Set(models.map((m) => m.license).filter(Boolean))];
  return (
    <li>
      <h2>{name}</h2>
      <p>{[...tasks].map(([t, n]) => `${n} for ${words(t)}`).join(", ")}</p>
      {licenses.length > 0 && <p class="muted">{licenses.slice(0, 3).join(", ")}{licenses.length > 3 ? ` and ${licenses.length - 3} more licenses` : ""}</p>}
      <p class="row">
        <a href={href(["models"], { adapter: name })}>Settings and models</a>
        <a href={href(["new"], { adapter: name })}>New pipeline</a>
      </p>
    </li>
  );
}

function Schema({ adapter, task }: { adapter: string; task: string }) {
  const q = new URLSearchParams({ framework: adapter });
  if (task) q.set("task_type", task);
  const got = useGet<ConfigSchema>(`/api/v1/training/config-schema?${q}`);
  const groups = useMemo(() => byGroup(got.data?.schema.fields ?? []), [got.data]);
  const presets = Object.keys(got.data?.presets ?? {}).sort();
  return (
    <section>
      <h2>What {adapter} can be told</h2>
      <Failure error={got.error} />
      {groups.map(([group, fields]) => (
        <details key={group} open={groups.length < 3}>
          <summary>{group} <span class="muted">{fields.length}</span></summary>
          <Scroll label="Table">
            <table class="list">
              <thead>
                <tr>
                  <th>Field</th><th>Default</th><th>Values</th>
                  {presets.map((p) => <th key={p}>{p}</th>)}
                  <th>On resume</th><th>What it does</th>
                </tr>
              </thead>
              <tbody>
                {fields.map((f) => (
                  <tr key={f.name}>
                    <td><code>{f.name}</code></td>
                    <td>{value(f.default)}</td>
                    <td class="wrap">{allowed(f)}</td>
                    {presets.map((p) => <td key={p}>{value(inPreset(got.data?.presets[p], f.name))}</td>)}
                    <td>{f.resume ?? "forbid"}</td>
                    <td class="wrap">
                      {f.description}
                      {f.condition && <span class="muted"> Only while <code>{f.condition.field}</code> is {[f.condition.value].flat().map(value).join(" or ")}.</span>}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        </details>
      ))}
    </section>
  );
}

export function byGroup(fields: Field[]): [string, Field[]][] {
  const groups = new Map<string, Field[]>();
  for (const f of fields) {
    const g = f.group ?? (f.name.includes(".") ? (f.name.split(".")[0] as string) : "General");
    groups.set(g, [...(groups.get(g) ?? []), f]);
  }
  return [...groups];
}

/** inPreset finds a dotted name in a preset's nested values. */
export function inPreset(preset: unknown, name: string): unknown {
  let at: unknown = preset;
  for (const part of name.split(".")) at = (at as Record<string, unknown> | undefined)?.[part];
  return at;
}

export function allowed(f: Field): string {
  if (f.options?.length) return f.options.map((o) => o.value).join(", ");
  const unit = f.unit ? ` ${f.unit}` : "";
  if (f.min !== undefined && f.max !== undefined) return `${f.min} to ${f.max}${unit}`;
  if (f.min !== undefined) return `at least ${f.min}${unit}`;
  if (f.max !== undefined) return `at most ${f.max}${unit}`;
  return f.type + unit;
}
