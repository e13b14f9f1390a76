import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

export interface Choice {
  value: string;
  note?: string;
}

const most = 100; // options shown at once

/** nearness sorts what is typed in whole before what begins so, and that before the rest. */
const nearness = (value: string, typed: string): number => (value === typed ? 2 : value.toLowerCase().startsWith(typed.toLowerCase()) ? 1 : 0);

/**
 * Choose is a text field with a list that what is typed narrows: for lists too
 * long to scroll. With free set anything may be typed; otherwise leaving the
 * field with what is no option brings the old value back.
 */
export function Choose({ aria, value, options, choose, free = false }: { aria: Record<string, unknown> & { id: string }; value: string; options: Choice[]; choose: (value: string) => void; free?: boolean }) {
  const [typed, setTyped] = useState<string | null>(null); // null = the list is closed, and nothing was typed
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => setTyped(null), [value]);

  const words = (typed ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const found = typed === null ? options : options.filter((o) => words.every((w) => `${o.value} ${o.note ?? ""}`.toLowerCase().includes(w)));
  if (typed) found.sort((a, b) => nearness(b.value, typed) - nearness(a.value, typed));
  const shown = found.slice(0, most);
  const active = Math.min(at, shown.length - 1);
  useLayoutEffect(() => {
    if (open) list.current?.children[active]?.scrollIntoView({ block: "nearest" });
  }, [open, active]);

  const take = (v: string) => {
    setOpen(false);
    setTyped(null);
    if (v !== value) choose(v);
  };
  const key = (e: KeyboardEvent) => {
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      if (!open) {
        setOpen(true);
        setAt(Math.max(0, shown.findIndex((o) => o.value === value)));
      } else setAt(Math.min(shown.length - 1, Math.max(0, active + (e.key === "ArrowDown" ? 1 : -1))));
    } else if (e.key === "Enter" && open) {
      e.preventDefault();
      const o = shown[active];
      if (free && typed !== null && typed !== "" && !options.some((x) => x.value === typed) && at === 0) take(typed);
      else if (o) take(o.value);
    } else if (e.key === "Escape" && (open || typed !== null)) {
      e.preventDefault();
      setOpen(false);
      setTyped(null);
    }
  };
  const leave = () => {
    setOpen(false);
    if (typed === null) return;
    const same = options.find((o) => o.value === typed);
    if (same || (free && typed !== "")) take(typed);
    else setTyped(null);
  };
  return (
    <div class="choose">
      <input
        {...aria}
        role="combobox"
        aria-expanded={open}
        aria-controls={`${aria.id}-list`}
        aria-autocomplete="list"
        {...(open && shown[active] ? { "aria-activedescendant": `${aria.id}-${active}` } : {})}
        autoComplete="off"
        spellcheck={false}
        value={typed ?? value}
        onInput={(e) => {
          setTyped(e.currentTarget.value);
          setOpen(true);
          setAt(0);
        }}
        onClick={() => setOpen(true)}
        onFocus={(e) => e.currentTarget.select()}
        onKeyDown={key}
        onBlur={leave}
      />
      <ul id={`${aria.id}-list`} role="listbox" aria-label="Choices" hidden={!open || shown.length === 0} ref={list}>
        {open &&
          shown.map((o, i) => (
            <li
              key={o.value}
              id={`${aria.id}-${i}`}
              role="option"
              aria-selected={i === active}
              onPointerDown={(e) => {
                e.preventDefault(); // the field keeps the focus
                take(o.value);
              }}
            >
              {o.value} {o.note && <span class="muted">{o.note}</span>}
            </li>
          ))}
        {open && found.length > shown.length && <li role="presentation" class="muted">{found.length - shown.length} more: type to narrow</li>}
      </ul>
    </div>
  );
}
