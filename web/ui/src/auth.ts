import { useEffect, useState } from "preact/hooks";

// A pasted token is kept for the tab only.
const key = "trainwright-token";
const changed = new EventTarget();
let token = "";
try {
  token = sessionStorage.getItem(key) ?? "";
} catch {
  // storage may be forbidden; the token then lasts until the page is left
}

export const getToken = (): string => token;

export function setToken(t: string): void {
  token = t.trim();
  try {
    if (token) sessionStorage.setItem(key, token);
    else sessionStorage.removeItem(key);
  } catch {
    // see above
  }
  changed.dispatchEvent(new Event("change"));
}

export function useToken(): string {
  const [t, set] = useState(token);
  useEffect(() => {
    const update = () => set(token);
    changed.addEventListener("change", update);
    return () => changed.removeEventListener("change", update);
  }, []);
  return t;
}
