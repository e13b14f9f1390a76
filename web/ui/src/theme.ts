import { useEffect, useState } from "preact/hooks";

export type Theme = "auto" | "light" | "dark";
const key = "trainwright-theme";
const changed = new EventTarget();

function stored(): Theme {
  try {
    const t = localStorage.getItem(key);
    return t === "light" || t === "dark" ? t : "auto";
  } catch {
    return "auto"; // storage may be forbidden
  }
}

export function applyTheme(t: Theme = stored()): void {
  if (t === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = t;
  changed.dispatchEvent(new Event("change"));
}

export function setTheme(t: Theme): void {
  try {
    localStorage.setItem(key, t);
  } catch {
    // it holds until the page is left
  }
  applyTheme(t);
}

export function useTheme(): Theme {
  const [t, set] = useState<Theme>(stored);
  useEffect(() => {
    const update = () => set((document.documentElement.dataset.theme as Theme | undefined) ?? "auto");
    changed.addEventListener("change", update);
    return () => changed.removeEventListener("change", update);
  }, []);
  return t;
}

/** onTheme calls back when colours change, by the switch or by the system. */
export function onTheme(f: () => void): () => void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  changed.addEventListener("change", f);
  system.addEventListener("change", f);
  return () => {
    changed.removeEventListener("change", f);
    system.removeEventListener("change", f);
  };
}

/** color is a custom property's value now, for canvases. */
export const color = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** palette is Okabe and Ito's, in an order that also differs in lightness. */
export const palette = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7"];
/** dashes tell lines apart without colour. */
export const dashes: (number[] | undefined)[] = [undefined, [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [14, 4], [3, 6]];
