import { useEffect, useRef, useState } from "preact/hooks";
import { refresh, signIn, signOut, useSession } from "../auth";
import { needLogin } from "../hooks";

/** Login asks for a token when the server does, or when the user wants to. */
export function Login() {
  const session = useSession();
  const dialog = useRef<HTMLDialogElement>(null);
  const [typed, setTyped] = useState("");
  const [error, setError] = useState("");
  useEffect(() => {
    void refresh();
    const show = () => {
      if (!dialog.current?.open) dialog.current?.showModal();
    };
    needLogin.addEventListener("login", show);
    return () => needLogin.removeEventListener("login", show);
  }, []);
  const enter = async () => {
    try {
      await signIn(typed.trim());
      setError("");
      setTyped("");
      dialog.current?.close();
    } catch (e) {
      setError(e instanceof Error ? e.message : String(e));
    }
  };
  return (
    <>
      {session.role ? (
        <button type="button" title={`signed in as ${session.role}`} onClick={() => void signOut()}>Sign out</button>
      ) : (
        <button type="button" onClick={() => dialog.current?.showModal()}>Sign in</button>
      )}
      <dialog ref={dialog} aria-labelledby="login-title">
        <form method="dialog" onSubmit={(e) => { e.preventDefault(); void enter(); }}>
          <h2 id="login-title">Sign in</h2>
          <p>
            Checking and changing something needs it. Open the one-time address that <code>runner serve</code> prints when it starts, or give a token here.
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
