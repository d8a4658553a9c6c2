// Positions of points on the map.

import type { MapRectangle } from "./api";

/** How coordinates become pixels: `left + unit * x` and `top - unit * y`. */
export interface Fit {
  unit: number;
  left: number;
  top: number;
}

/** Return how all points fit into a picture, with the same unit for x and y. */
export function fitInto(x: Float32Array, y: Float32Array, width: number, height: number, margin: number): Fit {
  const [left, right] = extent(x);
  const [low, high] = extent(y);
  // The same scale for x and y, so that distances mean the same in every direction.
  const unit = Math.min(
    (width - 2 * margin) / Math.max(right - left, 1e-12),
    (height - 2 * margin) / Math.max(high - low, 1e-12),
  );
  return { unit, left: width / 2 - (unit * (left + right)) / 2, top: height / 2 + (unit * (low + high)) / 2 };
}

/** Nearest and farthest zoom of a map. */
const ZOOMS = [1, 16] as const;

/** Return a fit enlarged by a factor around a position in pixels, within the limits of `whole`, which shows all points. */
export function zoomed(fit: Fit, factor: number, at: readonly [number, number], whole: Fit): Fit {
  const unit = Math.min(ZOOMS[1] * whole.unit, fit.unit * factor);
  if (unit <= ZOOMS[0] * whole.unit) return whole;
  const by = unit / fit.unit;
  return { unit, left: at[0] - (at[0] - fit.left) * by, top: at[1] - (at[1] - fit.top) * by };
}

/** Return positions in pixels, x and y in turn; NaN where a coordinate is missing. */
export function positions(x: Float32Array, y: Float32Array, { unit, left, top }: Fit): Float32Array {
  const placed = new Float32Array(x.length * 2);
  for (let i = 0; i < x.length; i++) {
    placed[2 * i] = left + unit * (x[i] as number);
    placed[2 * i + 1] = top - unit * (y[i] as number);
  }
  return placed;
}

/** Return the rectangle between two positions in pixels, in the unit of the coordinates. */
export function rectangleBetween(from: readonly [number, number], to: readonly [number, number], { unit, left, top }: Fit): MapRectangle {
  const [x, y] = [[from[0], to[0]].map((at) => (at - left) / unit), [from[1], to[1]].map((at) => (top - at) / unit)];
  return { left: Math.min(...x), right: Math.max(...x), low: Math.min(...y), high: Math.max(...y) };
}

/** Return whether a position in coordinates is in a rectangle. */
export function isInside(x: number, y: number, { left, right, low, high }: MapRectangle): boolean {
  return x >= left && x <= right && y >= low && y <= high;
}

function extent(values: Float32Array): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, high] : [0, 0];
}

/** Return the point nearest to a position, within a radius; -1 if there is none. */
export function nearestPoint(placed: Float32Array, x: number, y: number, radius: number): number {
  let best = -1;
  let least = radius * radius;
  for (let i = 0; 2 * i < placed.length; i++) {
    const away = ((placed[2 * i] as number) - x) ** 2 + ((placed[2 * i + 1] as number) - y) ** 2;
    if (away <= least) {
      least = away;
      best = i;
    }
  }
  return best;
}

/** Return the nearest point in the direction of an arrow key, or the same point. */
export function pointTowards(
  placed: Float32Array,
  from: number,
  [dx, dy]: readonly [number, number],
): number {
  const [x, y] = [placed[2 * from] ?? 0, placed[2 * from + 1] ?? 0];
  let best = from;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; 2 * i < placed.length; i++) {
    const [ax, ay] = [(placed[2 * i] as number) - x, (placed[2 * i + 1] as number) - y];
    const along = ax * dx + ay * dy;
    const across = Math.abs(ax * dy) + Math.abs(ay * dx);
    if (i === from || !(along > 0) || across > along) continue;
    if (along + across < least) {
      least = along + across;
      best = i;
    }
  }
  return best;
}
