// Names of categories at the middle of their points.

import type { PointCategories } from "./api";
import type { Placed } from "./place";

/** A category with the point in its middle. */
export interface Region {
  label: string;
  point: number;
  /** Number of its points. */
  count: number;
}

/** Fewest points of a category that is named. */
const FEWEST = 2;
/** Points of a category that its middle is computed from; more are sampled. */
const SAMPLE = 4000;

/**
 * Return the categories with the point nearest to the median of each, largest first.
 *
 * @param states of every point; 0 is hidden
 */
export function regions({ codes, labels }: PointCategories, placed: Placed, states: ArrayLike<number>): Region[] {
  const members: number[][] = labels.map(() => []);
  for (let i = 0; i < placed.n; i++) if (states[i] !== 0) members[codes[i] as number]?.push(i);
  return members
    .flatMap((points, code) =>
      points.length < FEWEST ? [] : [{ label: labels[code] as string, point: middle(placed.positions, points), count: points.length }],
    )
    .sort((a, b) => b.count - a.count);
}

function middle(positions: Float32Array, all: readonly number[]): number {
  const step = Math.ceil(all.length / SAMPLE);
  const points = step > 1 ? all.filter((_, i) => i % step === 0) : all;
  const medians = [0, 1, 2].map((k) => {
    const sorted = Float32Array.from(points, (point) => positions[3 * point + k] as number).sort();
    return sorted[sorted.length >> 1] as number;
  });
  let best = points[0] as number;
  let least = Number.POSITIVE_INFINITY;
  for (const point of points) {
    const away = medians.reduce((sum, median, k) => sum + ((positions[3 * point + k] as number) - median) ** 2, 0);
    if (away < least) [least, best] = [away, point];
  }
  return best;
}

/** A name in the picture, at its middle. */
export interface TextBox {
  label: string;
  x: number;
  y: number;
}

/** Height of a name, and width of a character, in pixels: a little more than they need. */
const LINE = 15;
const CHARACTER = 7;
/** Shifts that a name is tried at, in lines: above the middle first, so that small categories stay visible. */
const SHIFTS = [-0.8, 0.8, -1.9, 1.9] as const;

/** Return where names fit into a picture without overlap; those that fit nowhere are left out. */
export function arrange(
  names: readonly { label: string; spot: readonly [number, number] }[],
  width: number,
  height: number,
): TextBox[] {
  const boxes: (TextBox & { half: number })[] = [];
  for (const { label, spot } of names) {
    const half = (label.length * CHARACTER) / 2 + 3;
    if (spot[0] < 0 || spot[0] > width || spot[1] < 0 || spot[1] > height) continue;
    const x = Math.min(width - half, Math.max(half, spot[0]));
    const free = (y: number) =>
      y > LINE / 2 && y < height - LINE / 2 && boxes.every((box) => Math.abs(box.y - y) >= LINE || Math.abs(box.x - x) >= box.half + half);
    const shift = SHIFTS.find((lines) => free(spot[1] + lines * LINE));
    if (shift !== undefined) boxes.push({ label, x, y: spot[1] + shift * LINE, half });
  }
  return boxes.map(({ label, x, y }) => ({ label, x, y }));
}
