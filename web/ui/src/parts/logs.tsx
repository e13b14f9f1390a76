import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { get, type Logs as LogsAnswer, type Message, runPath, type RunDetail } from "../api";
import { bytes } from "../format";

const kept = 1 << 20; // characters shown
// What terminals take for colours and cursors says nothing here.
const escapes = /\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b\][^\u0007]*\u0007|[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g;

/** clean drops terminal codes and what a carriage return overwrote. */
export const clean = (text: string): string =>
  text
    .replace(/\r\n/g, "\n")
    .replace(escapes, "")
    .replace(/[^\n]*\r(?=[^\n])/g, "");

/** Logs shows messages and printed output, and follows while the run is alive. */
export function Logs({ run, alive, news }: { run: RunDetail; alive: boolean; news: number }) {
  const [attempt, setAttempt] = useState(0);
  const [messages, setMessages] = useState<Message[]>([]);
  const [text, setText] = useState("");
  const [size, setSize] = useState({ from: 0, size: 0, attempt: 0 });
  const [follow, setFollow] = useState(true);
  const [find, setFind] = useState("");
  const [error, setError] = useState("");
  const box = useRef<HTMLPreElement>(null);

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
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text, follow]);

  const lines = clean(text).split("\n");
  const shown = find === "" ? lines : lines.filter((l) => l.toLowerCase().includes(find.toLowerCase()));
  return (
    <>
      {messages.length > 0 && (
        <section>
          <h2>Messages</h2>
          <ol class="messages">
            {messages.map((m, i) => (
              <li key={i} class={m.level}>
                <time dateTime={m.time}>{new Date(m.time).toLocaleTimeString()}</time> <b>{m.level}</b> <span class="pre">{m.text}</span>
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
          class="log"
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
