import "./view.css";
import { triangleIndex } from "../../data/patterns";
import { brightness, colourAt } from "../pattern-canvas/colour-map";
import { linkedStyle } from "../pattern-canvas/view";
import type { PatternLensProps } from "./api";

const CELL = 14;
const ROOM = 84;

/** A window of cells around one cell, moved inwards at the edges of the pattern. */
export function PatternLens({ pattern, at, token, reach = 9 }: PatternLensProps) {
  const style = linkedStyle();
  const side = Math.min(pattern.n, 2 * reach + 1);
  const start = (middle: number) => Math.max(0, Math.min(pattern.n - side, middle - reach));
  const [top, left] = [start(at.query), start(at.key)];
  const places = Array.from({ length: side }, (_, i) => i);
  const cells = places.flatMap((row) =>
    places.flatMap((column) => {
      const [query, key] = [top + row, left + column];
      if (key > query || (style.sink === "hidden" && key === 0)) return [];
      const byte = pattern.triangle[triangleIndex(query, key)] ?? 0;
      const fill = colourAt(style.map, brightness(byte, style.scale));
      const here = query === at.query && key === at.key;
      return [
        <rect
          key={`${row} ${column}`}
          x={ROOM + column * CELL}
          y={ROOM + row * CELL}
          width={CELL - 0.5}
          height={CELL - 0.5}
          fill={fill}
          class={here ? "here" : undefined}
        />,
      ];
    }),
  );
  const whole = ROOM + side * CELL + 2;
  return (
    <svg class="pattern-lens" width={whole} height={whole} viewBox={`0 0 ${whole} ${whole}`} role="img" aria-label={`Weights around query ${at.query} and key ${at.key}`}>
      {cells}
      {places.map((i) => (
        <text key={`q${i}`} class="query" x={ROOM - 4} y={ROOM + (i + 0.5) * CELL} data-on={top + i === at.query}>
          {token(top + i).slice(0, 12)}
        </text>
      ))}
      {places.map((i) => (
        <text key={`k${i}`} class="key" transform={`translate(${ROOM + (i + 0.5) * CELL} ${ROOM - 4}) rotate(-90)`} data-on={left + i === at.key}>
          {token(left + i).slice(0, 12)}
        </text>
      ))}
    </svg>
  );
}
