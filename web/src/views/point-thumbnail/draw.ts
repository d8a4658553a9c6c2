// Points as pixels. Pure functions.

import { place } from "../points-3d/place";

/** Most points of a picture: more would cover each other. */
const MOST = 6000;
/** Space at the edges, as a share of the side. */
const MARGIN = 0.05;

/** Positions of the points, nearest last. */
export interface Dots {
  /** Numbers of the points. */
  points: Uint32Array;
  /** From 0 to 1, to the right and down. */
  left: Float32Array;
  top: Float32Array;
}

/** Return the points as seen from the front; in 3-D, from a little above and the side. */
export function dots(x: Float32Array, y: Float32Array, z: Float32Array | null): Dots {
  const axes = [x, y, ...(z ? [z] : [])].map((values) => ({ title: "", unit: "", values }));
  const { positions, finite, n } = place(axes);
  const step = Math.max(1, Math.ceil(n / MOST));
  const [yaw, pitch] = z ? [-0.5, 0.35] : [0, 0];
  const seen: { point: number; left: number; top: number; depth: number }[] = [];
  let reach = 1e-9;
  for (let point = 0; point < n; point += step) {
    if (!finite[point]) continue;
    const [px, py, pz] = [...positions.subarray(3 * point, 3 * point + 3)] as [number, number, number];
    const left = px * Math.cos(yaw) + pz * Math.sin(yaw);
    const deep = -px * Math.sin(yaw) + pz * Math.cos(yaw);
    const up = py * Math.cos(pitch) - deep * Math.sin(pitch);
    seen.push({ point, left, top: -up, depth: py * Math.sin(pitch) + deep * Math.cos(pitch) });
    reach = Math.max(reach, Math.abs(left), Math.abs(up));
  }
  seen.sort((a, b) => a.depth - b.depth);
  const fit = (value: number) => 0.5 + (0.5 - MARGIN) * (value / reach);
  return {
    points: Uint32Array.from(seen, (item) => item.point),
    left: Float32Array.from(seen, (item) => fit(item.left)),
    top: Float32Array.from(seen, (item) => fit(item.top)),
  };
}

/** Return `side` x `side` RGBA pixels with a square of `dot` pixels per point, else transparent. */
export function thumbnailPixels(
  { points, left, top }: Dots,
  colours: Uint8Array,
  side: number,
  dot: number,
): Uint8ClampedArray<ArrayBuffer> {
  const data = new Uint8ClampedArray(side * side * 4);
  for (let i = 0; i < points.length; i++) {
    const x0 = Math.round((left[i] as number) * side - dot / 2);
    const y0 = Math.round((top[i] as number) * side - dot / 2);
    const from = 3 * (points[i] as number);
    for (let y = Math.max(0, y0); y < Math.min(side, y0 + dot); y++) {
      for (let x = Math.max(0, x0); x < Math.min(side, x0 + dot); x++) {
        const at = 4 * (y * side + x);
        for (let k = 0; k < 3; k++) data[at + k] = colours[from + k] as number;
        data[at + 3] = 255;
      }
    }
  }
  return data;
}
