// Positions of points in a box from -1 to 1.

import type { PointAxis } from "./api";

/** Points in the box, with the scale of the axes. */
export interface Placed {
  n: number;
  /** x, y, z of every point. */
  positions: Float32Array;
  /** 1 where all coordinates are finite. */
  finite: Uint8Array;
  /** place = (value - centre) * scale, per axis. */
  centre: [number, number, number];
  scale: [number, number, number];
}

/** Share of values at each end that may be outside of the box: outliers would shrink the rest. */
const TAIL = 0.0005;
/** Values sampled to find the ends. */
const LOOKED_AT = 200_000;

/** Return the ends of most of the values; [0, 0] if none is finite. */
export function bulk(values: Float32Array): [number, number] {
  const step = Math.max(1, Math.floor(values.length / LOOKED_AT));
  const sample = new Float64Array(Math.ceil(values.length / step));
  let n = 0;
  for (let i = 0; i < values.length; i += step) {
    const value = values[i] as number;
    if (Number.isFinite(value)) sample[n++] = value;
  }
  if (n === 0) return [0, 0];
  const sorted = sample.subarray(0, n).sort();
  const cut = Math.floor(TAIL * n);
  return [sorted[cut] as number, sorted[n - 1 - cut] as number];
}

/** Place points by two or three axes. */
export function place(axes: readonly PointAxis[]): Placed {
  const n = axes[0]?.values.length ?? 0;
  const ends = axes.map((axis) => bulk(axis.values));
  const halves = ends.map(([low, high]) => (high - low) / 2);
  const equal = axes.every((axis) => axis.unit === axes[0]?.unit);
  const widest = Math.max(...halves, 0);
  const positions = new Float32Array(3 * n);
  const finite = new Uint8Array(n).fill(1);
  const centre: [number, number, number] = [0, 0, 0];
  const scale: [number, number, number] = [1, 1, 1];
  axes.slice(0, 3).forEach((axis, k) => {
    const [low, high] = ends[k] as [number, number];
    const half = equal ? widest : (halves[k] as number);
    centre[k] = (low + high) / 2;
    scale[k] = half > 0 ? 1 / half : 1;
    for (let i = 0; i < n; i++) {
      const value = axis.values[i] as number;
      if (Number.isFinite(value)) positions[3 * i + k] = (value - centre[k]) * scale[k];
      else finite[i] = 0;
    }
  });
  return { n, positions, finite, centre, scale };
}
