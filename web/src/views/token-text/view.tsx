import "./view.css";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { TokenTextProps } from "./api";

/** Characters of a token shown: some tokens are very long. */
const LONGEST = 60;

/** Return the text of a token, with visible line ends and tabs. */
export function tokenShown(token: string): string {
  const cut = token.length > LONGEST ? `${token.slice(0, LONGEST)}…` : token;
  return cut === "" ? "∅" : cut.replace(/\n/g, "↵\n").replace(/\t/g, "⇥\t");
}

/** Return a token on one line, for labels. */
export function tokenLabel(token: string, length = 14): string {
  const line = token.replace(/\n/g, "↵").replace(/\t/g, "⇥").replace(/ /g, "␣");
  return line.length > length ? `${line.slice(0, length)}…` : line || "∅";
}

function tokenAt(event: Event): number | null {
  const place = (event.target as Element | null)?.closest?.("[data-token]")?.getAttribute("data-token");
  return place === null || place === undefined ? null : Number(place);
}

/**
 * Shaded tokens. There is one listener for all, and shades are set on the elements, so that a thousand
 * tokens can follow the pointer.
 */
export function TokenText(props: TokenTextProps) {
  const { tokens, shades, query, keyToken, bos, follow, onHover, onKeyToken, onQueryToken } = props;
  const box = useRef<HTMLDivElement>(null);
  const spans = useMemo(
    () =>
      tokens.map((token, place) => (
        <bdi key={place} class="token" data-token={place}>
          {bos && place === 0 ? <b>BOS</b> : tokenShown(token)}
        </bdi>
      )),
    [tokens, bos],
  );
  useLayoutEffect(() => {
    for (const [place, child] of [...(box.current?.children ?? [])].entries()) {
      const element = child as HTMLElement;
      const shade = (shades[place] ?? 0).toFixed(3);
      if (element.style.getPropertyValue("--shade") !== shade) element.style.setProperty("--shade", shade);
      element.toggleAttribute("data-query", place === query);
      element.toggleAttribute("data-key", place === keyToken);
    }
  }, [spans, shades, query, keyToken]);
  useLayoutEffect(() => {
    const element = follow === null ? undefined : box.current?.children[follow];
    if (element instanceof HTMLElement) reveal(box.current as HTMLElement, element);
  }, [follow]);
  return (
    <div
      ref={box}
      class="token-text"
      tabIndex={0}
      role="group"
      aria-label="Tokens. Left and Right choose the key, with Shift the query."
      onPointerOver={(event) => onHover(tokenAt(event))}
      onPointerLeave={() => onHover(null)}
      onClick={(event) => {
        const token = tokenAt(event);
        if (token !== null) onKeyToken(token);
      }}
      onContextMenu={(event) => {
        const token = tokenAt(event);
        if (token === null) return;
        event.preventDefault();
        onQueryToken(token);
      }}
      onKeyDown={(event) => {
        if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
        event.preventDefault();
        const step = event.key === "ArrowLeft" ? -1 : 1;
        const from = (event.shiftKey ? query : keyToken) ?? 0;
        const to = Math.min(tokens.length - 1, Math.max(0, from + step));
        if (event.shiftKey) onQueryToken(to);
        else onKeyToken(to);
      }}
    >
      {spans}
    </div>
  );
}

/** Scroll a box until an element in it is visible. The page is not scrolled. */
function reveal(box: HTMLElement, element: HTMLElement): void {
  const [outer, inner] = [box.getBoundingClientRect(), element.getBoundingClientRect()];
  if (inner.top < outer.top) box.scrollTop -= outer.top - inner.top + 20;
  else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom + 20;
}
