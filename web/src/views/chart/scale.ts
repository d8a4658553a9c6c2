// Scales, ticks and number formats of charts.

import { scaleLinear, scaleSqrt } from "d3-scale";
import { generator } from "../../state/random";
import type { Axis } from "./api";

/** Format a number with three digits, without trailing zeros; a dash for none. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text =
    size >= 1e6 || size < 1e-4
      ? value.toExponential(2).replace(/\.?0+e/, "e")
      : size >= 1000
        ? Math.round(value).toLocaleString("en")
        : String(Number(value.toPrecision(3)));
  return text.replace(/^-/, "−");
}

/** Shorten a text in its middle: names differ at their beginnings and ends. */
export function shorten(text: string, most: number): string {
  if (text.length <= most) return text;
  const end = Math.floor((most - 1) / 2);
  return `${text.slice(0, most - 1 - end)}…${end > 0 ? text.slice(-end) : ""}`;
}

/** Format a number of bytes. */
export function byteSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size >= 100 || unit === 0 ? Math.round(size) : Number(size.toPrecision(2))} ${units[unit]}`;
}

/** Return the smallest and largest finite value, widened if they are equal; 0 to 1 if there are none. */
export function extent(values: Iterable<number | null | undefined>): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value === null || value === undefined || !Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  if (low < high) return [low, high];
  const half = low === 0 ? 1 : Math.abs(low) / 2;
  return [low - half, high + half];
}

/** An axis in pixels. */
export interface Placed {
  at: (value: number) => number;
  ticks: Tick[];
}

/** A tick of an axis: its position in pixels, and its text. */
export interface Tick {
  at: number;
  text: string;
}

/** Place an axis between two positions, with about `count` ticks. */
export function place(axis: Axis, from: number, to: number, count: number): Placed {
  if (axis.root) return placeRoot(axis, from, to);
  const scale = scaleLinear().domain(axis.domain).range([from, to]);
  if (!axis.exact) scale.nice(count);
  const format = scale.tickFormat(count);
  return {
    at: (value) => scale(value),
    ticks: spacedTicks(
      scale.ticks(count).map((tick) => ({ at: scale(tick), text: format(tick) })),
      from > to,
    ),
  };
}

/** Width of a character of a tick, and the least gap between two ticks, in pixels. */
const CHARACTER = 6.6;
const GAP = 10;
/** Least distance of ticks on a vertical axis: the height of a line. */
const LINE = 18;

/** Return whether the texts of two ticks do not touch. */
function apart(a: Tick, b: Tick, vertical: boolean): boolean {
  const room = vertical ? LINE : ((a.text.length + b.text.length) / 2) * CHARACTER + GAP;
  return Math.abs(a.at - b.at) >= room;
}

/** Return the ticks whose texts do not touch; of two that touch, the first is kept. */
export function spacedTicks(ticks: readonly Tick[], vertical: boolean): Tick[] {
  const kept: Tick[] = [];
  for (const tick of ticks) if (kept.every((other) => apart(other, tick, vertical))) kept.push(tick);
  return kept;
}

/** A square-root axis: ticks are round numbers from the largest down to 0, where there is room. */
function placeRoot({ domain }: Axis, from: number, to: number): Placed {
  const scale = scaleSqrt().domain(domain).range([from, to]);
  const [low, high] = [Math.min(...domain), Math.max(...domain)];
  const size = Math.max(-low, high);
  const values = [0];
  for (let decade = Math.ceil(Math.log10(size)); decade > Math.log10(size) - 4; decade--) {
    for (const step of [1, 0.5, 0.2]) values.push(step * 10 ** decade, -step * 10 ** decade);
  }
  const ticks = values
    .filter((value) => value >= low && value <= high)
    .map((value) => ({ at: scale(value), text: figure(value) }));
  return { at: (value) => scale(value), ticks: spacedTicks(ticks, from > to) };
}

/** Return the mean of the finite values; NaN if there are none. */
export function mean(values: readonly number[]): number {
  const finite = values.filter(Number.isFinite);
  return finite.reduce((sum, value) => sum + value, 0) / finite.length;
}

/** Return the median of the finite values; NaN if there are none. */
export function median(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length === 0) return Number.NaN;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Return displacements from -1 to 1 that separate equal dots; the same for every call. */
export function jitter(n: number): number[] {
  const random = generator(n);
  return Array.from({ length: n }, () => 2 * random() - 1);
}

/** Return the index of the dot nearest to a point, within reach; -1 if there is none. */
export function nearest(
  dots: readonly { x: number; y: number }[],
  x: number,
  y: number,
  reach: number,
): number {
  let closest = -1;
  let best = reach * reach;
  dots.forEach((dot, index) => {
    const square = (dot.x - x) ** 2 + (dot.y - y) ** 2;
    if (square <= best) {
      best = square;
      closest = index;
    }
  });
  return closest;
}
