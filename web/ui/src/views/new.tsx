import { lazy, Suspense } from "preact/compat";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type ConfigSchema, type Diagnostic, type Evaluation, type Field, type Form, type FormDiagnostic, type FoundDataset, type Model, type Plan, post, Problem, type Rendering } from "../api";
import { useSession } from "../auth";
import { active, effective, read, type Written, wrong } from "../form/schema";
import { value, words } from "../format";
import { needLogin, useGet, useTitle } from "../hooks";
import { Choose } from "../parts/choose";
import { Failure, Loading } from "../parts/common";
import { PlanView } from "../parts/graph";
import { go, href, type Route } from "../router";
import { byGroup } from "./models";

const Editor = lazy(() => import("../form/editor"));

interface Basics {
  name: string;
  path: string;
  format: string;
  epochs: string;
  batch: string;
  seed: string;
  image: string;
  pretrained: boolean;
}

const number = (s: string): unknown => (s.trim() === "" ? undefined : Number.isNaN(Number(s)) ? s : Number(s));

function nested(written: Written): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, v] of Object.entries(written)) {
    const parts = name.split(".");
    let at = out;
    for (const p of parts.slice(0, -1)) at = (at[p] ??= {}) as Record<string, unknown>;
    at[parts.at(-1) as string] = v;
  }
  return out;
}

/** New draws a form from an adapter's schema, and shows the HCL that it stands for. */
export function New({ route }: { route: Route }) {
  useTitle("New pipeline");
  const session = useSession();
  const list = useGet<{ models: Model[] }>("/api/v1/models/list");
  const doc = useGet<{ paths: Record<string, unknown> }>("/openapi.json");
  const data = useGet<{ datasets: FoundDataset[]; formats: string[] }>("/api/v1/datasets");
  const can = (path: string) => doc.data?.paths[path] !== undefined;

  const adapters = useMemo(() => [...new Set(list.data?.models.map((m) => m.framework))].sort(), [list.data]);
  const adapter = route.query.get("adapter") || adapters[0] || "";
  const own = useMemo(() => (list.data?.models ?? []).filter((m) => m.framework === adapter), [list.data, adapter]);
  const model = own.find((m) => m.model_name === route.query.get("model")) ?? own[0];
  const task = model?.task_types.includes(route.query.get("task") ?? "") ? (route.query.get("task") as string) : (model?.task_types[0] ?? "");
  const schema = useGet<ConfigSchema>(adapter && task ? `/api/v1/training/config-schema?${new URLSearchParams({ framework: adapter, task_type: task })}` : null);
  const fields = schema.data?.schema.fields ?? [];
  const presets = Object.keys(schema.data?.presets ?? {}).sort();

  const models = useMemo(() => own.map((m) => ({ value: m.model_name, note: [m.parameters, m.pretrained ? "pretrained" : "", m.task_types.length === 1 && new Set(own.flatMap((x) => x.task_types)).size > 1 ? words(m.task_types[0] ?? "") : ""].filter(Boolean).join(", ") })), [own]);

  const [basics, setBasics] = useState<Basics>({ name: "flowers", path: "", format: "", epochs: "10", batch: "32", seed: "1", image: "", pretrained: false });
  const wants = task === "image_classification" || task === "" ? ["imagefolder"] : ["coco", "yolo", "voc"];
  const fitting = (data.data?.datasets ?? []).filter((d) => wants.includes(d.format));
  const path = basics.path || fitting[0]?.dataset_path || "data/flowers";
  const chosen = data.data?.datasets.find((d) => d.dataset_path === path);
  const format = basics.format || chosen?.format || wants[0] || "imagefolder";
  const [preset, setPreset] = useState("");
  const [written, setWritten] = useState<Written>({});
  const values = useMemo(() => effective(fields, schema.data?.presets[preset], written), [fields, schema.data, preset, written]);
  const shown = useMemo(() => new Set(fields.filter((f) => active(fields, values, f.name)).map((f) => f.name)), [fields, values]);

  const form = useMemo<Form>(() => {
    const kept = Object.fromEntries(Object.entries(written).filter(([n]) => shown.has(n)));
    const training: Record<string, unknown> = { epochs: number(basics.epochs), batch_size: number(basics.batch), seed: number(basics.seed), preset: preset || undefined };
    if (Object.keys(kept).length > 0) training.advanced_config = nested(kept);
    return {
      name: basics.name,
      framework: adapter,
      task_type: task,
      model: { model_name: model?.model_name, image_size: number(basics.image), pretrained: basics.pretrained && model?.pretrained ? true : undefined },
      dataset: { format, dataset_path: path, split: format === "imagefolder" ? chosen?.split : undefined },
      training_config: training,
    };
  }, [basics, adapter, task, model, preset, written, shown, path, format, chosen]);

  const [edited, setEdited] = useState<string | null>(null); // the text once it was changed by hand
  const [rendering, setRendering] = useState<Rendering>();
  const [checked, setChecked] = useState<Evaluation>(); // of the edited text
  const [error, setError] = useState("");
  const asked = JSON.stringify([form, edited]);
  const [answered, setAnswered] = useState(""); // what the server's answer is about
  const checking = asked !== answered;
  useEffect(() => {
    if (!model || !schema.data || (!data.data && !data.error)) return;
    const end = new AbortController();
    const timer = window.setTimeout(
      () => {
        const done =
          edited === null
            ? post<Rendering>("/api/v1/pipelines/render", form, end.signal).then(setRendering)
            : post<Evaluation>("/api/v1/pipelines/validate", { files: { "main.hcl": edited } }, end.signal).then(setChecked);
        done
          .then(() => setError(""))
          .catch((e: unknown) => {
            if (end.signal.aborted) return;
            setError(e instanceof Error ? e.message : String(e));
            if (e instanceof Problem && e.status === 401) needLogin.dispatchEvent(new Event("login"));
          })
          .finally(() => !end.signal.aborted && setAnswered(asked));
      },
      rendering || edited !== null ? 350 : 0,
    );
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, [asked, session.id, model !== undefined, schema.data !== undefined, data.data !== undefined || data.error !== undefined]);

  const text = edited ?? rendering?.hcl ?? "";
  const diagnostics: Diagnostic[] = (edited === null ? rendering?.diagnostics : checked?.diagnostics) ?? [];
  const valid = (edited === null ? rendering?.valid : checked?.valid) ?? false;
  const at = useMemo(() => {
    const by = new Map<string, FormDiagnostic[]>();
    if (edited === null) for (const d of rendering?.diagnostics ?? []) by.set(d.pointer, [...(by.get(d.pointer) ?? []), d]);
    return by;
  }, [rendering, edited]);
  const said = (pointer: string): string => at.get(pointer)?.map((d) => `${d.summary}. ${d.detail}`).join(" ") ?? "";

  const choose = (change: Record<string, string>) => {
    setPreset("");
    setWritten({});
    go(href(["new"], { adapter, model: model?.model_name ?? "", task, ...change }), true);
  };
  const set = (name: string, v: unknown) =>
    setWritten((old) => {
      const next = { ...old };
      if (v === undefined) delete next[name];
      else next[name] = v;
      return next;
    });

  if (list.error && !list.data) return <Failure error={list.error} />;
  if (!list.data) return <Loading />;
  const basic = (name: keyof Basics, label: string, pointer: string, more: Record<string, unknown> = {}, unit = "") => (
    <Line label={label} unit={unit} error={said(pointer)}>
      {(aria) => <input {...aria} value={String(basics[name])} onInput={(e) => setBasics({ ...basics, [name]: e.currentTarget.value })} {...more} />}
    </Line>
  );
  const locked = edited !== null;
  return (
    <>
      <h1>New pipeline</h1>
      <p class="muted">The form stands for the HCL beside it. What you leave empty keeps the preset's value or the default.</p>
      <div class="split">
        <form class="form" onSubmit={(e) => e.preventDefault()}>
          {locked && (
            <p class="warning">
              You changed the HCL, which counts now; the form no longer writes it.{" "}
              <button type="button" onClick={() => setEdited(null)}>Back to the form</button>
            </p>
          )}
          <fieldset disabled={locked}>
            <fieldset>
              <legend>What</legend>
              {basic("name", "Pipeline", "/name")}
              <Line label="Adapter" error={said("/framework")}>
                {(aria) => (
                  <select {...aria} value={adapter} onChange={(e) => choose({ adapter: e.currentTarget.value, model: "", task: "" })}>
                    {adapters.map((a) => (
                      <option key={a} value={a}>{a}</option>
                    ))}
                  </select>
                )}
              </Line>
              <Line label="Model" error={said("/model/model_name")} help={model?.description}>
                {(aria) => (
                  <Choose
                    aria={aria}
                    value={model?.model_name ?? ""}
                    options={models}
                    choose={(name) => choose({ model: name })}
                  />
                )}
              </Line>
              {model && model.task_types.length > 1 && (
                <Line label="Task" error={said("/task_type")}>
                  {(aria) => (
                    <select {...aria} value={task} onChange={(e) => choose({ task: e.currentTarget.value })}>
                      {model.task_types.map((t) => (
                        <option key={t} value={t}>{words(t)}</option>
                      ))}
                    </select>
                  )}
                </Line>
              )}
              {basic("image", "Image size", "/model/image_size", { inputMode: "numeric", placeholder: String(model?.default_image_size ?? "") }, "px")}
              {model?.pretrained && (
                <Line label="Pretrained" error={said("/model/pretrained")} help="Start from the published weights.">
                  {(aria) => <input {...aria} type="checkbox" checked={basics.pretrained} onChange={(e) => setBasics({ ...basics, pretrained: e.currentTarget.checked })} />}
                </Line>
              )}
              <Line label="Dataset" error={said("/dataset/dataset_path")} help={data.data && fitting.length === 0 ? "No folder under the server's data root looks like a dataset for this task." : "A folder under the server's data root."}>
                {(aria) => (
                  <Choose
                    aria={aria}
                    value={path}
                    free
                    options={(data.data?.datasets ?? []).map((d) => ({ value: d.dataset_path, note: wants.includes(d.format) ? d.format : `${d.format}: not for ${words(task)}` }))}
                    choose={(p) => setBasics((old) => ({ ...old, path: p, format: "" }))}
                  />
                )}
              </Line>
              <Line label="Its format" error={said("/dataset/format")}>
                {(aria) => (
                  <select {...aria} value={format} onChange={(e) => setBasics({ ...basics, format: e.currentTarget.value })}>
                    {[...new Set([...(data.data?.formats ?? wants), format])].map((f) => (
                      <option key={f} value={f}>{f}</option>
                    ))}
                  </select>
                )}
              </Line>
            </fieldset>
            <fieldset>
              <legend>How long</legend>
              {basic("epochs", "Epochs", "/training_config/epochs", { inputMode: "numeric" })}
              {basic("batch", "Batch size", "/training_config/batch_size", { inputMode: "numeric" }, "images")}
              {basic("seed", "Seed", "/training_config/seed", { inputMode: "numeric" })}
              {presets.length > 0 && (
                <Line label="Preset" error={said("/training_config/preset")}>
                  {(aria) => (
                    <select {...aria} value={preset} onChange={(e) => setPreset(e.currentTarget.value)}>
                      <option value="">none: the defaults</option>
                      {presets.map((p) => (
                        <option key={p} value={p}>{p}</option>
                      ))}
                    </select>
                  )}
                </Line>
              )}
            </fieldset>
            <Failure error={schema.error} />
            {byGroup(fields).map(([group, all]) => {
              const visible = all.filter((f) => shown.has(f.name));
              if (visible.length === 0) return null;
              return (
                <fieldset key={group}>
                  <legend>{group}</legend>
                  {visible.map((f) => (
                    <Setting
                      key={f.name}
                      field={f}
                      written={written[f.name]}
                      counts={values.get(f.name)?.value}
                      origin={values.get(f.name)?.origin ?? "default"}
                      error={said(`/training_config/advanced_config/${f.name.replaceAll(".", "/")}`)}
                      set={(v) => set(f.name, v)}
                    />
                  ))}
                </fieldset>
              );
            })}
          </fieldset>
        </form>
        <div class="beside">
          <div class="row spread">
            <h2>main.hcl</h2>
            <span role="status" class={valid && !error ? "good" : "muted"}>
              {checking && model ? "checking…" : error ? "" : text === "" ? "" : valid ? "✓ valid" : `${diagnostics.length} to mend`}
            </span>
          </div>
          {error && <p class="warning" role="alert">{error}</p>}
          <Suspense fallback={<Loading />}>
            <Editor text={text} byHand={edited !== null} edit={setEdited} diagnostics={diagnostics} />
          </Suspense>
          {diagnostics.length > 0 && (
            <ul class="diagnostics" aria-label="Diagnostics">
              {diagnostics.map((d, i) => (
                <li key={i} class={d.severity}>
                  <b>{d.summary}</b> {d.range && <span class="muted">line {d.range.start.line}</span>}
                  <br />
                  <span class="pre">{d.detail}</span>
                </li>
              ))}
            </ul>
          )}
          <Actions text={text} name={basics.name} valid={valid && !checking} canSave={can("/api/v1/pipelines/save")} canStart={can("/api/v1/pipelines/apply")} />
        </div>
      </div>
    </>
  );
}

type Aria = { id: string; "aria-invalid"?: boolean; "aria-describedby"?: string };

function Line({ label, unit, help, error, children, reset }: { label: string; unit?: string; help?: string | undefined; error?: string; children: (aria: Aria) => preact.ComponentChildren; reset?: preact.ComponentChildren }) {
  const id = useMemo(() => `f${Math.random().toString(36).slice(2)}`, []);
  const notes = [help ? `${id}-help` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
  return (
    <div class={`line${error ? " wrong" : ""}`}>
      <label for={id}>{label}{unit && <span class="muted"> {unit}</span>}</label>
      <div>
        <div class="control">
          {children({ id, ...(error ? { "aria-invalid": true } : {}), ...(notes ? { "aria-describedby": notes } : {}) })}
          {reset}
        </div>
        {help && <p class="muted" id={`${id}-help`}>{help}</p>}
        {error && <p class="error" id={`${id}-error`}>{error}</p>}
      </div>
    </div>
  );
}

/** Setting is one field of the schema. */
function Setting({ field: f, written, counts, origin, error, set }: { field: Field; written: unknown; counts: unknown; origin: string; error: string; set: (v: unknown) => void }) {
  const [typed, setTyped] = useState<string | null>(null);
  const last = useRef(written);
  if (last.current !== written && written === undefined) setTyped(null);
  last.current = written;
  const bad = error || (written !== undefined && wrong(f, written) ? `It must be ${wrong(f, written)}.` : "");
  const range = f.type === "select" || f.type === "boolean" || f.type === "string" ? "" : f.min !== undefined && f.max !== undefined ? `${f.min} to ${f.max}` : f.min !== undefined ? `at least ${f.min}` : f.max !== undefined ? `at most ${f.max}` : "";
  const option = f.options?.find((o) => o.value === counts);
  const help = [f.description, option?.description, range && `Range ${range}.`].filter(Boolean).join(" ");
  const from = written === undefined ? (origin === "preset" ? "preset" : "default") : "";
  return (
    <Line
      label={f.label ?? f.name}
      unit={f.unit ?? ""}
      help={help}
      error={bad}
      reset={
        written !== undefined ? (
          <button type="button" class="reset" title="Back to the preset's value or the default" aria-label={`reset ${f.label ?? f.name}`} onClick={() => { setTyped(null); set(undefined); }}>
            reset
          </button>
        ) : (
          <span class="origin">{from}</span>
        )
      }
    >
      {(aria) => {
        if (f.type === "boolean") return <input {...aria} type="checkbox" data-field={f.name} checked={counts === true} onChange={(e) => set(e.currentTarget.checked)} />;
        if (f.options && f.type === "select") {
          return (
            <select {...aria} data-field={f.name} value={value(counts)} onChange={(e) => set(e.currentTarget.value)}>
              {(counts === null || counts === undefined) && <option value="–">unset</option>}
              {f.options.map((o) => (
                <option key={o.value} value={o.value}>{o.label ?? o.value}</option>
              ))}
            </select>
          );
        }
        const text = typed ?? (written === undefined ? "" : Array.isArray(written) ? written.join(", ") : String(written));
        return (
          <input
            {...aria}
            data-field={f.name}
            value={text}
            inputMode={f.type === "integer" ? "numeric" : f.type === "number" ? "decimal" : "text"}
            placeholder={counts === null || counts === undefined ? "unset" : Array.isArray(counts) ? counts.join(", ") : value(counts)}
            onInput={(e) => {
              setTyped(e.currentTarget.value);
              set(read(f, e.currentTarget.value));
            }}
            onKeyDown={(e) => {
              if ((e.key !== "ArrowUp" && e.key !== "ArrowDown") || f.step === undefined || (f.type !== "integer" && f.type !== "number")) return;
              e.preventDefault();
              const from = typeof counts === "number" ? counts : (f.min ?? 0);
              const next = Number((from + (e.key === "ArrowUp" ? f.step : -f.step)).toPrecision(12));
              const held = Math.min(f.max ?? Infinity, Math.max(f.min ?? -Infinity, next));
              setTyped(null);
              set(held);
            }}
          />
        );
      }}
    </Line>
  );
}

function Actions({ text, name, valid, canSave, canStart }: { text: string; name: string; valid: boolean; canSave: boolean; canStart: boolean }) {
  const [busy, setBusy] = useState("");
  const [said, setSaid] = useState("");
  const [failed, setFailed] = useState("");
  const [plan, setPlan] = useState<Plan>();
  const [of, setOf] = useState("");
  const submission = { files: { "main.hcl": text } };
  const act = async (what: string, f: () => Promise<void>) => {
    setBusy(what);
    setSaid("");
    setFailed("");
    try {
      await f();
    } catch (e) {
      const p = e instanceof Problem ? (e.body as { diagnostics?: Diagnostic[] } | null) : null;
      setFailed([e instanceof Error ? e.message : String(e), ...(p?.diagnostics ?? []).map((d) => `${d.summary}: ${d.detail}`)].join("\n"));
      if (e instanceof Problem && e.status === 401) needLogin.dispatchEvent(new Event("login"));
    }
    setBusy("");
  };
  const planned = () =>
    act("plan", async () => {
      setPlan(undefined);
      const r = await post<Evaluation>("/api/v1/pipelines/plan", submission);
      if (r.plan) {
        setPlan(r.plan);
        setOf(text);
      } else setFailed(r.diagnostics.map((d) => `${d.summary}: ${d.detail}`).join("\n") || "There is no plan.");
    });
  const save = () =>
    act("save", async () => {
      const directory = name.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 64) || "pipeline";
      await post("/api/v1/pipelines/save", { ...submission, directory });
      setSaid(`Saved as ${directory}/main.hcl in the server's save root.`);
    });
  const start = () =>
    act("start", async () => {
      const a = await post<{ apply_id: string }>("/api/v1/pipelines/apply", submission);
      go(href(["runs"], { apply: a.apply_id }));
    });
  return (
    <>
      <div class="row">
        <button type="button" disabled={!valid || busy !== ""} onClick={() => void planned()}>{busy === "plan" ? "Planning…" : "Plan"}</button>
        {canSave && <button type="button" disabled={!valid || busy !== ""} onClick={() => void save()}>Save</button>}
        {canStart && <button type="button" class="primary" disabled={!valid || busy !== ""} onClick={() => void start()}>Start</button>}
        <button type="button" disabled={text === ""} onClick={() => void navigator.clipboard?.writeText(text).then(() => setSaid("Copied."), () => setFailed("The browser did not let the page copy."))}>Copy</button>
        <span role="status">{said}</span>
      </div>
      {failed && <p class="warning pre" role="alert">{failed}</p>}
      {plan && (
        <section>
          <h2>Plan {of !== text && <span class="muted">of an older text</span>}</h2>
          <PlanView plan={plan} />
        </section>
      )}
    </>
  );
}
