import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { get, Problem } from "./api";
import { useSession } from "./auth";

/** needLogin is sent when the server asks for a token. */
export const needLogin = new EventTarget();

export interface Loaded<T> {
  data: T | undefined;
  error: Problem | undefined;
  reload: () => void;
}

/**
 * useGet reads a path, again whenever it changes and, with pollMs > 0, as time
 * goes on while the page is seen. What was read last stays while a newer answer
 * is waited for, unless it was of another path.
 */
export function useGet<T>(path: string | null, pollMs = 0): Loaded<T> {
  const [got, setGot] = useState<{ path: string | null; data?: T; error?: Problem }>({ path: null });
  const [turn, setTurn] = useState(0);
  const session = useSession();
  const poll = useRef(pollMs);
  poll.current = pollMs;
  useEffect(() => {
    if (path === null) return;
    const end = new AbortController();
    let timer = 0;
    const read = async () => {
      try {
        const data = await get<T>(path, end.signal);
        setGot({ path, data });
      } catch (e) {
        if (end.signal.aborted) return;
        const error = e instanceof Problem ? e : new Problem(0, "internal", String(e));
        if (error.status === 401) needLogin.dispatchEvent(new Event("login"));
        setGot((old) => ({ path, error, ...(old.path === path && old.data !== undefined ? { data: old.data } : {}) }));
      }
      if (poll.current > 0 && !end.signal.aborted) timer = window.setTimeout(tick, poll.current);
    };
    const tick = () => {
      if (document.visibilityState === "visible") void read();
      else timer = window.setTimeout(tick, 500);
    };
    void read();
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, [path, turn, pollMs > 0, session.id]);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  const mine = got.path === path;
  return { data: mine ? got.data : undefined, error: mine ? got.error : undefined, reload };
}

/** useTitle names the tab. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · Trainwright` : "Trainwright";
  }, [title]);
}

/** useTick draws again every so often, for clocks. */
export function useTick(ms: number, on: boolean): void {
  const [, set] = useState(0);
  useEffect(() => {
    if (!on) return;
    const timer = setInterval(() => set((n) => n + 1), ms);
    return () => clearInterval(timer);
  }, [ms, on]);
}
