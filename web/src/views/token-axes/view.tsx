import "./view.css";
import { useMemo } from "preact/hooks";
import { columnAt } from "../pattern-matrix/keys";
import type { TokenAxesProps } from "./api";

/** Width of the labels of queries and height of those of keys, in CSS pixels. */
export const TOKEN_ROOM = 76;
/** Pixels between labels, and characters of a label. */
const APART = 10;
const LONGEST = 11;

/** The tokens at the edges of a pattern. */
export function TokenAxes({ n, size, place, token, active, children }: TokenAxesProps) {
  const step = place.side / n;
  const every = Math.max(1, Math.ceil(APART / step));
  const query = active?.query ?? null;
  const key = active?.key ?? null;
  const queries = useMemo(() => labelled(n, every, query), [n, every, query]);
  const keys = useMemo(() => labelled(n, every, key), [n, every, key]);
  const short = (at: number) => {
    const label = token(at);
    return label.length > LONGEST ? `${label.slice(0, LONGEST)}…` : label;
  };
  return (
    <div class="token-axes">
      <svg width={TOKEN_ROOM} height={size} viewBox={`0 0 ${TOKEN_ROOM} ${size}`} aria-hidden="true">
        {queries.map((at) => (
          <text key={at} x={TOKEN_ROOM - 4} y={(at + 0.5) * step} data-on={at === query}>
            {short(at)}
          </text>
        ))}
      </svg>
      {children}
      <span />
      <svg
        width={size}
        height={TOKEN_ROOM}
        viewBox={`0 0 ${size} ${TOKEN_ROOM}`}
        style={{ marginTop: `${place.side - size}px` }}
        aria-hidden="true"
      >
        {keys.map((at) => {
          const { x, width } = columnAt(at, place, n);
          return (
            <text key={at} transform={`translate(${x + width / 2} 4) rotate(-90)`} data-on={at === key}>
              {short(at)}
            </text>
          );
        })}
      </svg>
    </div>
  );
}

/** Return the tokens with a label: one in `every`, and the active one in place of its neighbours. */
export function labelled(n: number, every: number, active: number | null): number[] {
  const places: number[] = [];
  for (let at = 0; at < n; at += every) {
    if (active === null || Math.abs(at - active) >= every || at === active) places.push(at);
  }
  if (active !== null && active % every !== 0) places.push(active);
  return places;
}
