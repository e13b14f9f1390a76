import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** Scroll holds what may be wider than the page. While it is, the keyboard can scroll it. */
export function Scroll({ label, tall = false, children }: { label: string; tall?: boolean; children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  const [over, setOver] = useState(false);
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const measure = () => setOver(el.scrollWidth > el.clientWidth || el.scrollHeight > el.clientHeight);
    const sizes = new ResizeObserver(measure);
    sizes.observe(el);
    if (el.firstElementChild) sizes.observe(el.firstElementChild);
    return () => sizes.disconnect();
  }, []);
  return (
    <div class={tall ? "scroll tall" : "scroll"} ref={box} {...(over ? { tabIndex: 0, role: "region", "aria-label": label } : {})}>
      {children}
    </div>
  );
}
