// What a pattern says about a cell, a row or a column. Pure functions.

import { composed } from "../../data/composed";
import { triangleIndex, weightAt, type Pattern } from "../../data/patterns";
import { csv } from "../export-menu/csv";
import type { Scale, Sink } from "../pattern-canvas/api";
import { brightness } from "../pattern-canvas/colour-map";
import { topByte } from "../pattern-canvas/image";
import type { Cell } from "../pattern-matrix/api";

/** Return the key with the largest weight; the first token is skipped unless it is drawn in its place. */
export function strongest(pattern: Pattern, query: number, sink: Sink): Cell {
  let best = query === 0 || sink === "shown" ? 0 : 1;
  for (let key = best; key <= query; key++) {
    if (weightAt(pattern, query, key) > weightAt(pattern, query, best)) best = key;
  }
  return { query, key: best };
}

/** Return the byte that has the brightest colour: where the first token is set apart, a quantile of the others. */
export function brightestByte(pattern: Pattern, sink: Sink): number {
  return sink === "shown" ? 255 : topByte(pattern, 1);
}

/** Return the shade of every token, 0 to 1: the active row, or the active column. */
export function shadesOf(
  pattern: Pattern,
  active: Cell | null,
  of: "query" | "key",
  style: { scale: Scale; sink: Sink; top: number },
): Float32Array {
  const shades = new Float32Array(pattern.n);
  if (!active) return shades;
  for (let token = 0; token < pattern.n; token++) {
    const [query, key] = of === "query" ? [active.query, token] : [token, active.key];
    if (key > query || (style.sink === "hidden" && key === 0)) continue;
    const byte = pattern.triangle[triangleIndex(query, key)] ?? 0;
    shades[token] = brightness(byte, style.scale, key === 0 ? 255 : style.top);
  }
  return shades;
}

/** Return a weight in percent. */
export function percent(weight: number): string {
  return `${(100 * weight).toFixed(weight < 0.1 ? 2 : 1)} %`;
}

/** Describe a cell in a sentence. `block`: tokens per side of the blocks that share one weight. */
export function describe(pattern: Pattern, at: Cell, token: (place: number) => string, block = 1): string {
  const weight = weightAt(pattern, at.query, at.key);
  const back = at.query - at.key;
  const distance = back === 0 ? "itself" : `${back} back`;
  const [from, to] = [`${at.query} ‘${token(at.query)}’`, `${at.key} ‘${token(at.key)}’`];
  if (block > 1) {
    return composed`Query ${from} attends with at most ${percent(weight)} to key ${to} (${distance}): the largest weight among ${block} × ${block} tokens.`;
  }
  let larger = 0;
  for (let key = 0; key <= at.query; key++) if (weightAt(pattern, at.query, key) > weight) larger++;
  return composed`Query ${from} attends with ${percent(weight)} to key ${to} (${distance}), its ${larger === 0 ? "" : `${ordinal(larger + 1)} `}largest of ${at.query + 1}.`;
}

function ordinal(n: number): string {
  const tail = n % 100 > 10 && n % 100 < 14 ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th");
  return `${n}${tail}`;
}

/** Return all weights whose byte is not 0, as CSV. */
export function weightTable(pattern: Pattern, tokens: readonly string[]): string {
  const rows: (string | number)[][] = [];
  for (let query = 0; query < pattern.n; query++) {
    for (let key = 0; key <= query; key++) {
      const weight = weightAt(pattern, query, key);
      if (weight > 0) rows.push([query, key, tokens[query] ?? "", tokens[key] ?? "", Number(weight.toPrecision(4))]);
    }
  }
  return csv(["query", "key", "query token", "key token", "weight"], rows);
}
