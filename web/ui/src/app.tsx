import { useEffect, useRef } from "preact/hooks";
import { Compare } from "./views/compare";
import { Login } from "./parts/login";
import { New } from "./views/new";
import { Models } from "./views/models";
import { Runs } from "./views/runs";
import { RunView } from "./views/run";
import { href, useRoute } from "./router";
import { setTheme, type Theme, useTheme } from "./theme";

const nav: [string, string][] = [
  ["runs", "Runs"],
  ["compare", "Compare"],
  ["models", "Models"],
  ["new", "New pipeline"],
];

export function App() {
  const route = useRoute();
  const view = route.path[0] ?? "runs";
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  const place = route.path.slice(0, 2).join("/");
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    main.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [place]);
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); main.current?.focus(); }}>To the content</a>
      <header class="top">
        <a class="brand" href={href(["runs"])}>Trainwright</a>
        <nav aria-label="Main">
          {nav.map(([id, label]) => (
            <a key={id} href={href([id])} aria-current={view === id ? "page" : undefined}>{label}</a>
          ))}
        </nav>
        <Login />
        <ThemeSwitch />
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {view === "runs" && route.path[1] !== undefined ? (
          <RunView key={route.path[1]} route={route} />
        ) : view === "runs" ? (
          <Runs route={route} />
        ) : view === "compare" ? (
          <Compare route={route} />
        ) : view === "models" ? (
          <Models route={route} />
        ) : view === "new" ? (
          <New route={route} />
        ) : (
          <>
            <h1>Nothing is here</h1>
            <p><a href={href(["runs"])}>All runs</a></p>
          </>
        )}
      </main>
    </>
  );
}

function ThemeSwitch() {
  const theme = useTheme();
  return (
    <label class="theme">
      <span class="sr">Colours</span>
      <select value={theme} onChange={(e) => setTheme(e.currentTarget.value as Theme)}>
        <option value="auto">System</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
    </label>
  );
}
