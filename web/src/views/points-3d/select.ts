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
  { matrix, width, height }: Eye,
  outline: readonly Spot[],
): Uint32Array {
  const xs = outline.map(([x]) => x);
  const ys = outline.map(([, y]) => y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const isBox = outline.every(([x, y]) => (x === left || x === right) && (y === top || y === bottom));
  const [ax, ay, aw] = [0, 1, 3].map((row) => [0, 4, 8, 12].map((column) => matrix[column + row] as number)) as [
    number[],
    number[],
    number[],
  ];
  const [x0, x1, x2, x3] = ax as [number, number, number, number];
  const [y0, y1, y2, y3] = ay as [number, number, number, number];
  const [w0, w1, w2, w3] = aw as [number, number, number, number];
  // Bounds of the outline in clip space, without the division by w.
  const [low, high] = [(2 * left) / width - 1, (2 * right) / width - 1];
  const [bottomUp, topUp] = [1 - (2 * bottom) / height, 1 - (2 * top) / height];
  const points = new Uint32Array(states.length);
  let n = 0;
  // As `project`, written out: a million points make no object each.
  for (let i = 0; i < states.length; i++) {
    if (states[i] === 0) continue;
    const x = positions[3 * i] as number;
    const y = positions[3 * i + 1] as number;
    const z = positions[3 * i + 2] as number;
    const w = w0 * x + w1 * y + w2 * z + w3;
    if (!(w > 0)) continue;
    const across = x0 * x + x1 * y + x2 * z + x3;
    if (!(across >= low * w && across <= high * w)) continue;
    const up = y0 * x + y1 * y + y2 * z + y3;
    if (!(up >= bottomUp * w && up <= topUp * w)) continue;
    if (isBox || inside(outline, ((across / w + 1) / 2) * width, ((1 - up / w) / 2) * height)) points[n++] = i;
  }
  return points.slice(0, n);
}

/** Combine points with a selection; null if nothing is selected. */
export function merge(
  selected: Uint8Array | null,
  points: Uint32Array,
  how: "replace" | "add" | "remove",
  n: number,
): Uint8Array | null {
  const mask = how === "replace" || !selected ? new Uint8Array(n) : selected.slice();
  for (const point of points) mask[point] = how === "remove" ? 0 : 1;
  return mask.includes(1) ? mask : null;
}
