import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../api";
import { setToken, useToken } from "../auth";
import { needLogin } from "../hooks";

/** Login asks for a token when the server does, or when the user wants to. */
export function Login() {
  const token = useToken();
  const dialog = useRef<HTMLDialogElement>(null);
  const [typed, setTyped] = useState("");
  const [error, setError] = useState("");
  useEffect(() => {
    const show = () => {
      if (!dialog.current?.open) dialog.current?.showModal();
    };
    needLogin.addEventListener("login", show);
    return () => needLogin.removeEventListener("login", show);
  }, []);
  const enter = async () => {
    setToken(typed);
    try {
      await get("/api/v1/status");
      setError("");
      setTyped("");
      dialog.current?.close();
    } catch (e) {
      setToken("");
      setError(e instanceof Error ? e.message : String(e));
    }
  };
  return (
    <>
      {token ? (
        <button type="button" onClick={() => setToken("")}>Sign out</button>
      ) : (
        <button type="button" onClick={() => dialog.current?.showModal()}>Sign in</button>
      )}
      <dialog ref={dialog} aria-labelledby="login-title">
        <form method="dialog" onSubmit={(e) => { e.preventDefault(); void enter(); }}>
          <h2 id="login-title">Sign in</h2>
          <p>
            Changing or checking something needs a token: the one that <code>runner serve</code> showed at its first start, or that of <code>RUNNER_TOKEN</code>.
          </p>
          <label class="stack">
            Token
            <input type="password" autocomplete="off" value={typed} onInput={(e) => setTyped(e.currentTarget.value)} />
          </label>
          {error && <p class="warning" role="alert">{error}</p>}
          <div class="row">
            <button type="submit" class="primary" disabled={typed.trim() === ""}>Sign in</button>
            <button type="button" onClick={() => dialog.current?.close()}>Not now</button>
          </div>
        </form>
      </dialog>
    </>
  );
}
