import "./view.css";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { TermProps } from "./api";

/** Attribute of elements that have a sentence. What takes the focus anyway carries it itself. */
const HELP = "data-help";
const GAP = 4;

/** Return a text with a capital letter first. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A term that takes the focus, so that the keyboard reaches its sentence. */
export function Term({ help, children }: TermProps) {
  return (
    <span class="term" tabIndex={0} data-help={help}>
      {children}
    </span>
  );
}

/** The sentence of the element under the pointer or with the focus. One for the whole page; Escape hides it. */
export function HelpSentence() {
  const [element, setElement] = useState<Element | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const current = useRef<Element | null>(null);
  current.current = element;
  useEffect(() => {
    const show = (event: Event) => setElement((event.target as Element | null)?.closest?.(`[${HELP}]`) ?? null);
    const hide = () => setElement(null);
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape") hide();
    };
    document.addEventListener("pointerover", show);
    document.addEventListener("focusin", show);
    document.addEventListener("focusout", hide);
    document.addEventListener("keydown", onKey);
    // The focus scrolls to what it reaches, whose sentence stays.
    const onScroll = () => {
      const shown = current.current;
      if (!shown?.contains(document.activeElement)) hide();
      else if (box.current) place(box.current, shown.getBoundingClientRect());
    };
    document.addEventListener("scroll", onScroll, true);
    return () => {
      document.removeEventListener("pointerover", show);
      document.removeEventListener("focusin", show);
      document.removeEventListener("focusout", hide);
      document.removeEventListener("keydown", onKey);
      document.removeEventListener("scroll", onScroll, true);
    };
  }, []);
  useLayoutEffect(() => {
    if (!element || !box.current) return undefined;
    place(box.current, element.getBoundingClientRect());
    const described = (element.matches("label") && element.querySelector("input, select")) || element;
    described.setAttribute("aria-describedby", box.current.id);
    return () => described.removeAttribute("aria-describedby");
  }, [element]);
  const help = element?.isConnected ? element.getAttribute(HELP) : null;
  return help ? (
    <div ref={box} id="help-sentence" class="help-sentence" role="tooltip" data-export="no">
      {help}
    </div>
  ) : null;
}

/** Put the box below the element, or above it where there is no room, within the window. */
function place(box: HTMLElement, around: DOMRect): void {
  const { offsetWidth: width, offsetHeight: height } = box;
  const fromLeft = Math.max(8, Math.min(around.left, window.innerWidth - width - 8));
  const below = around.bottom + GAP;
  const top = below + height > window.innerHeight ? Math.max(8, around.top - height - GAP) : below;
  box.style.left = `${fromLeft}px`;
  box.style.top = `${top}px`;
}
