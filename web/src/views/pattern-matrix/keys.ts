// Movement over a pattern by keys and by the pointer.

import type { Frame } from "../pattern-canvas/frame";
import type { Cell } from "./api";

/** Rows down and columns right of a key; Home, End, Page Up and Page Down move diagonally. */
const STEPS: Record<string, readonly [query: number, key: number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  Home: [-1, -1],
  PageUp: [-1, 1],
  End: [1, -1],
  PageDown: [1, 1],
};

/** Return whether a key moves the cell. */
export function moves(key: string): boolean {
  return key in STEPS;
}

/**
 * Return the cell that held keys lead to. Two arrow keys make a diagonal step; `far` makes ten steps. The
 * cell stays in the lower triangle.
 */
export function walk(from: Cell, held: ReadonlySet<string>, far: boolean, n: number): Cell {
  let [down, right] = [0, 0];
  for (const key of held) {
    const step = STEPS[key];
    if (!step) continue;
    down += step[0];
    right += step[1];
  }
  const length = far ? 10 : 1;
  const query = Math.min(n - 1, Math.max(0, from.query + Math.sign(down) * length));
  const key = Math.min(query, Math.max(0, from.key + Math.sign(right) * length));
  return { query, key };
}

/** Return the cell at a position in a square; null above the diagonal and outside. */
export function cellAt(x: number, y: number, size: number, n: number): Cell | null {
  const query = Math.floor((y / size) * n);
  const key = Math.floor((x / size) * n);
  return query >= 0 && query < n && key >= 0 && key <= query ? { query, key } : null;
}

/** Return the cell at a position in a picture, which may have a strip of the first token. */
export function cellIn(x: number, y: number, { strip, left, side }: Frame, n: number): Cell | null {
  if (x >= 0 && x < left) return x < strip ? cellAt(0, y, side, n) : null;
  return cellAt(x - left, y, side, n);
}

/** Return the left edge and the width of a column of a picture. */
export function columnAt(key: number, { strip, left, side }: Frame, n: number): { x: number; width: number } {
  if (strip > 0 && key === 0) return { x: 0, width: strip };
  return { x: left + (key * side) / n, width: side / n };
}
