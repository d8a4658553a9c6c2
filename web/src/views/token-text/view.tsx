import "./view.css";
import type { TokenTextProps } from "./api";

/** Characters of a token that are shown: some prompts hold tokens without end. */
const LONGEST = 60;

/** What a token looks like: spaces and line ends visible, lone marks of direction contained. */
export function tokenShown(token: string): string {
  const cut = token.length > LONGEST ? `${token.slice(0, LONGEST)}…` : token;
  return cut === "" ? "∅" : cut.replace(/\n/g, "↵\n").replace(/\t/g, "⇥\t");
}

/** A token in one line, for labels. */
export function tokenLabel(token: string, length = 14): string {
  const line = token.replace(/\n/g, "↵").replace(/\t/g, "⇥").replace(/ /g, "␣");
  return line.length > length ? `${line.slice(0, length)}…` : line || "∅";
}

function tokenAt(event: Event): number | null {
  const place = (event.target as Element | null)?.closest?.("[data-token]")?.getAttribute("data-token");
  return place === null || place === undefined ? null : Number(place);
}

/** Tokens, shaded. One listener serves all of them. */
export function TokenText(props: TokenTextProps) {
  const { tokens, shades, query, keyToken, bos, describe, onHover, onKeyToken, onQueryToken } = props;
  return (
    <div
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
      {tokens.map((token, place) => (
        <bdi
          key={place}
          class="token"
          data-token={place}
          data-query={place === query ? "" : undefined}
          data-key={place === keyToken ? "" : undefined}
          title={describe(place)}
          style={{ "--shade": (shades[place] ?? 0).toFixed(3) }}
        >
          {bos && place === 0 ? <b>BOS</b> : tokenShown(token)}
        </bdi>
      ))}
    </div>
  );
}
