import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, type Logs as LogsAnswer, type Message, runPath, type RunDetail, type Series } from "../api";
import { byRank } from "../curves";
import { bytes, short, words } from "../format";

const kept = 1 << 20; // characters shown
// What terminals take for colours and cursors says nothing here.
const escapes = /\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b\][^\u0007]*\u0007|[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g;

/** clean drops terminal codes and what a carriage return overwrote. */
export const clean = (text: string): string =>
  text
    .replace(/\r\n/g, "\n")
    .replace(escapes, "")
    .replace(/[^\n]*\r(?=[^\n])/g, "");

interface Happened {
  time: string;
  level: string;
  text: string;
}

/** story is what is known of a run in the order of time: attempts, epochs, messages. */
function story(run: RunDetail, series: Series[], messages: Message[]): Happened[] {
  const out: Happened[] = messages.map((m) => ({ time: m.time, level: m.level, text: m.text }));
  for (const a of run.attempt_list) {
    if (a.started) out.push({ time: a.started, level: "step", text: `attempt ${a.number} started` });
    if (a.ended) out.push({ time: a.ended, level: a.status === "failed" ? "error" : "step", text: `attempt ${a.number} ${a.status}${a.cause || a.error ? `: ${[a.cause, a.error].filter(Boolean).join(", ")}` : ""}` });
  }
  const epochs = new Map<number, { time: string; said: Map<string, string[]> }>();
  for (const s of [...series].sort((a, b) => byRank(a.name, b.name))) {
    if (s.class || s.name === "images_per_second") continue;
    for (const p of s.points.slice(-most)) {
      if (p.superseded) continue;
      const e = epochs.get(p.epoch) ?? { time: p.time, said: new Map<string, string[]>() };
      if (p.time > e.time) e.time = p.time;
      e.said.set(s.split, [...(e.said.get(s.split) ?? []), `${words(s.name)} ${short(p.value)}`].slice(0, 3));
      epochs.set(p.epoch, e);
    }
  }
  for (const [epoch, e] of epochs) out.push({ time: e.time, level: "epoch", text: `epoch ${epoch}: ${[...e.said].map(([split, list]) => `${split} ${list.join(", ")}`).join(" · ")}` });
  return out.sort((a, b) => Date.parse(a.time) - Date.parse(b.time)).slice(-most);
}

const most = 500; // lines of what happened

/** Logs shows what happened and the printed output, and follows while the run is alive. */
export function Logs({ run, alive, news, series }: { run: RunDetail; alive: boolean; news: number; series: Series[] }) {
  const [attempt, setAttempt] = useState(0);
  const [messages, setMessages] = useState<Message[]>([]);
  const [text, setText] = useState("");
  const [size, setSize] = useState({ from: 0, size: 0, attempt: 0 });
  const [follow, setFollow] = useState(true);
  const [find, setFind] = useState("");
  const [error, setError] = useState("");
  const box = useRef<HTMLPreElement>(null);
  const events = useRef<HTMLOListElement>(null);
  const happened = useMemo(() => story(run, series, messages), [run, series, messages]);

  useEffect(() => {
    const end = new AbortController();
    let next = -1;
    let of = attempt;
    let timer = 0;
    setText("");
    const read = async () => {
      try {
        const q = new URLSearchParams({ offset: String(next), limit: next < 0 ? "262144" : "1048576" });
        if (attempt) q.set("attempt", String(attempt));
        const l = await get<LogsAnswer>(`${runPath(run.run_id, "/logs")}?${q}`, end.signal);
        setError("");
        setMessages(l.messages);
        if (l.output.attempt !== of && next >= 0) {
          of = l.output.attempt;
          next = -1; // a new attempt began
          setText("");
        } else {
          of = l.output.attempt;
          const first = next < 0;
          next = l.output.next_offset;
          setSize((s) => ({ from: first ? l.output.offset : s.from, size: l.output.size, attempt: l.output.attempt }));
          if (l.output.text !== "") setText((old) => (old + l.output.text).slice(-kept));
        }
      } catch (e) {
        if (end.signal.aborted) return;
        setError(e instanceof Error ? e.message : String(e));
      }
      if (alive && !end.signal.aborted) timer = window.setTimeout(() => void read(), document.visibilityState === "visible" ? 1000 : 5000);
    };
    void read();
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, [run.run_id, attempt, alive, alive ? 0 : news]);

  useLayoutEffect(() => {
    if (!follow) return;
    for (const el of [box.current, events.current]) if (el) el.scrollTop = el.scrollHeight;
  }, [text, follow, happened]);

  const lines = clean(text).split("\n");
  const shown = find === "" ? lines : lines.filter((l) => l.toLowerCase().includes(find.toLowerCase()));
  return (
    <>
      {happened.length > 0 && (
        <section>
          <h2>What happened</h2>
          <ol class="messages" ref={events} tabIndex={0} aria-label="What happened">
            {happened.map((m, i) => (
              <li key={i} class={m.level}>
                <time dateTime={m.time}>{new Date(m.time).toLocaleTimeString()}</time> {m.level !== "epoch" && m.level !== "step" && <b>{m.level}</b>} <span class="pre">{m.text}</span>
              </li>
            ))}
          </ol>
        </section>
      )}
      <section>
        <h2>Output</h2>
        <div class="row">
          {run.attempt_list.length > 1 && (
            <label>
              Attempt{" "}
              <select value={String(attempt)} onChange={(e) => setAttempt(Number(e.currentTarget.value))}>
                <option value="0">newest</option>
                {run.attempt_list.map((a) => (
                  <option key={a.number} value={String(a.number)}>{a.number}</option>
                ))}
              </select>
            </label>
          )}
          <label>
            Find{" "}
            <input type="search" value={find} onInput={(e) => setFind(e.currentTarget.value)} />
          </label>
          <label class="check">
            <input type="checkbox" checked={follow} onChange={(e) => setFollow(e.currentTarget.checked)} /> follow
          </label>
          <span class="muted">
            {size.attempt > 0 ? `attempt ${size.attempt}, ${bytes(size.size)}` : ""}
            {size.from > 0 ? `, from ${bytes(size.from)} on` : ""}
          </span>
        </div>
        {error && <p class="warning">{error}</p>}
        <pre
          class={`log${text === "" ? " empty" : ""}`}
          ref={box}
          tabIndex={0}
          aria-label="Output of the step"
          onScroll={(e) => {
            const el = e.currentTarget;
            const end = el.scrollHeight - el.scrollTop - el.clientHeight < 24;
            if (follow && !end && el.scrollHeight > el.clientHeight) setFollow(false);
            if (!follow && end) setFollow(true);
          }}
        >
          {shown.join("\n") || (find ? "No line matches." : "Nothing was printed.")}
        </pre>
      </section>
    </>
  );
}
