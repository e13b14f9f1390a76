import { useEffect, useState } from "preact/hooks";
import { get, post } from "./api";

/** Session is who the server takes this browser for. The cookie that says so is out of the page's reach. */
export interface Session {
  id?: string;
  role?: string;
  expires?: string;
}

const changed = new EventTarget();
let session: Session = {};

export async function refresh(): Promise<void> {
  try {
    session = await get<Session>("/api/v1/login");
  } catch {
    session = {}; // not signed in, where reading needs it
  }
  changed.dispatchEvent(new Event("change"));
}

export async function signIn(token: string): Promise<void> {
  session = await post<Session>("/api/v1/login", { token });
  changed.dispatchEvent(new Event("change"));
}

export async function signOut(): Promise<void> {
  await post("/api/v1/logout", {});
  await refresh();
}

/** useSession is who is signed in; its id changes when somebody else is. */
export function useSession(): Session {
  const [s, set] = useState(session);
  useEffect(() => {
    const update = () => set(session);
    update();
    changed.addEventListener("change", update);
    return () => changed.removeEventListener("change", update);
  }, []);
  return s;
}
