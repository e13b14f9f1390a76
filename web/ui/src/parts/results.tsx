import { useMemo, useState } from "preact/hooks";
import { type Num, runPath, type Sample, type Validation } from "../api";
import { num, percent, short, words } from "../format";
import { useGet } from "../hooks";
import { PRCurves } from "./curve";
import { Matrix } from "./matrix";
import { Scroll } from "./scroll";

/** Results shows one pass over held-out data: numbers, confusion, classes, samples. */
export function Results({ run, validations, best }: { run: string; validations: Validation[]; best: number | undefined }) {
  const [picked, pick] = useState<number | null>(null); // null = the best so far
  if (validations.length === 0) return <p class="muted">Nothing was measured on held-out data yet. An epoch's end brings it.</p>;
  const at = picked ?? (best !== undefined && best >= 0 ? best : validations.length - 1);
  const v = validations[Math.min(at, validations.length - 1)] as Validation;
  return (
    <>
      <div class="row">
        <label>
          Measured after{" "}
          <select value={picked === null ? "best" : String(picked)} onChange={(e) => pick(e.currentTarget.value === "best" ? null : Number(e.currentTarget.value))}>
            <option value="best">the best epoch so far ({(validations[best ?? 0] ?? v).epoch})</option>
            {validations.map((x, i) => (
              <option key={i} value={i}>
                epoch {x.epoch}, {x.split} {x.primary_metric_name} {short(x.primary_metric_value)}
              </option>
            ))}
          </select>
        </label>
      </div>
      <dl class="numbers">
        {Object.entries({ loss: v.overall_loss, ...v.metrics }).map(([name, x]) => (
          <div key={name}>
            <dt>{words(name)}</dt>
            <dd>{short(x)}</dd>
          </div>
        ))}
      </dl>
      {v.confusion_matrix && v.confusion_matrix.length > 0 && (
        <section>
          <h2>Confusion matrix</h2>
          <Matrix classes={v.classes ?? []} matrix={v.confusion_matrix} />
        </section>
      )}
      <Curves run={run} of={v} />
      {v.per_class_metrics && (
        <section>
          <h2>Per class</h2>
          <PerClass table={v.per_class_metrics} />
        </section>
      )}
      {v.samples && v.samples.length > 0 && (
        <section>
          <h2>Samples, the worst errors first</h2>
          <Samples run={run} samples={v.samples} classes={v.classes ?? []} />
        </section>
      )}
    </>
  );
}

/** Curves asks for a pass's precision-recall curves, unless an event brought them. */
function Curves({ run, of }: { run: string; of: Validation }) {
  const got = useGet<{ validations: Validation[] }>(of.pr_curves ? null : runPath(run, `/validation?epoch=${of.epoch}&pr_curves=true`));
  const curves = of.pr_curves ?? got.data?.validations.find((x) => x.split === of.split && x.global_step === of.global_step)?.pr_curves;
  if (!curves || Object.keys(curves).length === 0) return null;
  return (
    <section>
      <h2>Precision and recall</h2>
      <PRCurves key={`${of.split} ${of.global_step}`} curves={curves} />
    </section>
  );
}

function PerClass({ table }: { table: Record<string, Record<string, Num>> }) {
  const columns = useMemo(() => {
    const found = new Set(Object.values(table).flatMap((row) => Object.keys(row)));
    const first = ["precision", "recall", "f1", "ap", "ap50", "iou", "support"].filter((c) => found.delete(c));
    return [...first, ...[...found].sort()];
  }, [table]);
  const [by, setBy] = useState<{ column: string; down: boolean }>({ column: columns.includes("f1") ? "f1" : (columns[0] ?? "class"), down: false });
  const rows = useMemo(() => {
    const list = Object.entries(table);
    const key = (r: (typeof list)[number]): number => num(r[1][by.column]);
    list.sort((a, b) => (by.column === "class" ? a[0].localeCompare(b[0]) : key(a) - key(b)));
    return by.down ? list.reverse() : list;
  }, [table, by]);
  const head = (column: string, label: string) => (
    <th class={column === "class" ? "" : "n"} aria-sort={by.column === column ? (by.down ? "descending" : "ascending") : "none"}>
      <button type="button" class="plain" onClick={() => setBy({ column, down: by.column === column ? !by.down : false })}>
        {label}
        <span aria-hidden="true">{by.column === column ? (by.down ? " ↓" : " ↑") : ""}</span>
      </button>
    </th>
  );
  return (
    <Scroll label="Classes" tall>
      <table class="list perclass">
        <thead>
          <tr>
            {head("class", "Class")}
            {columns.map((c) => head(c, c === "support" ? "images" : words(c)))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, row]) => (
            <tr key={name}>
              <th scope="row" class="wrap">{name}</th>
              {columns.map((c) => (
                <td key={c} class="n">
                  {c === "support" ? short(row[c]) : fraction(row[c]) ? <Share value={num(row[c])} /> : short(row[c])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

const fraction = (v: Num | undefined): boolean => num(v) >= 0 && num(v) <= 1;

function Share({ value }: { value: number }) {
  return (
    <span class="share">
      <meter min={0} max={1} value={value} aria-hidden="true" />
      {percent(value)}
    </span>
  );
}

function Samples({ run, samples, classes }: { run: string; samples: Sample[]; classes: string[] }) {
  const [wrongOnly, setWrongOnly] = useState(false);
  const [count, setCount] = useState(24);
  const sorted = useMemo(() => {
    const wrong = (s: Sample) => s.label !== s.prediction;
    const order = (x: Num) => (Number.isFinite(num(x)) ? num(x) : Infinity);
    return samples
      .filter((s) => !wrongOnly || wrong(s))
      .sort((a, b) => Number(wrong(b)) - Number(wrong(a)) || order(b.loss) - order(a.loss));
  }, [samples, wrongOnly]);
  const name = (i: number) => classes[i] ?? `class ${i}`;
  return (
    <>
      <label class="check">
        <input type="checkbox" checked={wrongOnly} onChange={(e) => setWrongOnly(e.currentTarget.checked)} /> only errors
      </label>
      <ul class="samples">
        {sorted.slice(0, count).map((s) => {
          const wrong = s.label !== s.prediction;
          return (
            <li key={s.path} class={wrong ? "wrong" : ""} title={s.path}>
              <Picture src={`${runPath(run, "/picture")}?path=${encodeURIComponent(s.path)}`} alt={`${name(s.label)}, taken for ${name(s.prediction)}`} />
              {wrong ? (
                <>
                  <b>{name(s.prediction)}</b> {percent(s.confidence)}
                  <br />
                  is {name(s.label)}
                </>
              ) : (
                <>
                  {name(s.label)} {percent(s.confidence)}
                </>
              )}
              <br />
              <span class="muted">loss {short(s.loss)}</span>
            </li>
          );
        })}
      </ul>
      {sorted.length === 0 && <p class="muted">No error among the samples.</p>}
      {sorted.length > count && (
        <button type="button" onClick={() => setCount(count + 48)}>
          {sorted.length - count} more
        </button>
      )}
    </>
  );
}

function Picture({ src, alt }: { src: string; alt: string }) {
  const [broken, setBroken] = useState(false);
  if (broken) return <span class="none">no picture</span>;
  return <img src={src} alt={alt} loading="lazy" width={112} height={104} onError={() => setBroken(true)} />;
}
