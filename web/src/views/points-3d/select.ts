// Selection by an outline on the screen.

/** A position in CSS pixels from the upper left corner of the view. */
export type Spot = readonly [x: number, y: number];

/** Return whether a position is inside a closed outline (even-odd rule). */
export function inside(outline: readonly Spot[], x: number, y: number): boolean {
  let within = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i++) {
    const [xi, yi] = outline[i] as Spot;
    const [xj, yj] = outline[j] as Spot;
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) within = !within;
  }
  return within;
}

/** Return the rectangle between two corners. */
export function rectangle([x0, y0]: Spot, [x1, y1]: Spot): Spot[] {
  return [
    [x0, y0],
    [x1, y0],
    [x1, y1],
    [x0, y1],
  ];
}

/** The projection of the camera. */
export interface Eye {
  /** World to clip space, 4 x 4, column by column. */
  matrix: ArrayLike<number>;
  width: number;
  height: number;
}

/** Return the position of a point on the screen; null behind the camera. */
export function project({ matrix: m, width, height }: Eye, x: number, y: number, z: number): Spot | null {
  const at = (i: number): number => m[i] as number;
  const w = at(3) * x + at(7) * y + at(11) * z + at(15);
  if (!(w > 0)) return null;
  const left = (at(0) * x + at(4) * y + at(8) * z + at(12)) / w;
  const up = (at(1) * x + at(5) * y + at(9) * z + at(13)) / w;
  return [((left + 1) / 2) * width, ((1 - up) / 2) * height];
}

/** Return the points inside an outline, without hidden points (state 0). */
export function pointsInside(
  positions: Float32Array,
  states: Uint8Array,
  eye: Eye,
  outline: readonly Spot[],
): Uint32Array {
  const xs = outline.map(([x]) => x);
  const ys = outline.map(([, y]) => y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const points: number[] = [];
  for (let i = 0; i < states.length; i++) {
    if (states[i] === 0) continue;
    const at = 3 * i;
    const spot = project(eye, positions[at] as number, positions[at + 1] as number, positions[at + 2] as number);
    if (!spot || spot[0] < left || spot[0] > right || spot[1] < top || spot[1] > bottom) continue;
    if (inside(outline, spot[0], spot[1])) points.push(i);
  }
  return Uint32Array.from(points);
}

/** Combine points with a selection; null if nothing is selected. */
export function merge(
  selected: Uint8Array | null,
  points: Uint32Array,
  how: "replace" | "add" | "remove",
  n: number,
): Uint8Array | null {
  const mask = how === "replace" || !selected ? new Uint8Array(n) : Uint8Array.from(selected);
  for (const point of points) mask[point] = how === "remove" ? 0 : 1;
  return mask.includes(1) ? mask : null;
}
