// Colours of points: by category or by amount.

import { NONE } from "../palette/api";
import { categoryColour } from "../palette/palette";
import { colourAt, rgb } from "../pattern-canvas/colour-map";
import type { PointCategories } from "./api";
import { bulk } from "./place";

/** A colouring by category. */
export interface Categories extends PointCategories {
  kind: "categories";
  title: string;
  /** Colour of each label, `#RRGGBB`. */
  colours: readonly string[];
  /** Title of "none". */
  none: string;
}

/** A colouring by number; NaN is missing. */
export interface Amounts {
  kind: "amounts";
  title: string;
  values: Float32Array;
  /** Numbers at the ends of the colours; values beyond get the colour of the end. */
  low: number;
  high: number;
}

export type Colouring = Categories | Amounts;

/** Return `n` colours of categories. */
export function palette(n: number): string[] {
  return Array.from({ length: n }, (_, i) => categoryColour(i));
}

/** Return a colouring whose colours span most of the values. */
export function amounts(title: string, values: Float32Array): Amounts {
  const [low, high] = bulk(values);
  return { kind: "amounts", title, values, low, high };
}

/** The part of viridis that can be seen: its end is too light for the light theme, its start too dark for the dark one. */
const SEEN = { light: [0, 0.72], dark: [0.28, 1] } as const;

/**
 * Colour of a share from 0 to 1 of the way from low to high: viridis, since the middle of cividis is
 * the grey of missing values.
 */
export function amountColour(share: number, isDark: boolean): string {
  const [low, high] = isDark ? SEEN.dark : SEEN.light;
  return colourAt("viridis", low + (high - low) * Math.min(1, Math.max(0, share)));
}

/** Return the colour of points of no category, which is closer to the ground than any category. */
export function noneColour(isDark: boolean): string {
  return isDark ? "#4d5662" : "#c3c9d2";
}

/** Return red, green and blue of every point. */
export function colourPoints(colouring: Colouring, n: number, isDark = false): Uint8Array {
  const bytes = new Uint8Array(3 * n);
  const table = (colours: readonly string[]) => Uint8Array.from(colours.flatMap((item) => rgb(item)));
  const none = table([colouring.kind === "categories" ? noneColour(isDark) : NONE]);
  if (colouring.kind === "categories") {
    const colours = table(colouring.colours);
    for (let i = 0; i < n; i++) {
      const at = 3 * (colouring.codes[i] as number);
      const known = at >= 0 && at < colours.length;
      for (let k = 0; k < 3; k++) bytes[3 * i + k] = (known ? colours[at + k] : none[k]) as number;
    }
    return bytes;
  }
  const steps = 256;
  const colours = table(Array.from({ length: steps }, (_, i) => amountColour(i / (steps - 1), isDark)));
  const { values, low, high } = colouring;
  const scale = high > low ? (steps - 1) / (high - low) : 0;
  for (let i = 0; i < n; i++) {
    const value = values[i] as number;
    const known = Number.isFinite(value);
    const at = 3 * Math.round(Math.min(steps - 1, Math.max(0, (value - low) * scale)));
    for (let k = 0; k < 3; k++) bytes[3 * i + k] = (known ? colours[at + k] : none[k]) as number;
  }
  return bytes;
}

/** Filters of the legend. */
export interface LegendFilter {
  /** Hidden labels; the empty text means "none". */
  hidden: readonly string[];
  /** Smallest and largest number shown; null is no limit. */
  low: number | null;
  high: number | null;
}

/** Return 1 for each point that passes the legend; null if all pass. */
export function legendPasses(colouring: Colouring, filter: LegendFilter, n: number): Uint8Array | null {
  const mask = new Uint8Array(n).fill(1);
  if (colouring.kind === "categories") {
    if (filter.hidden.length === 0) return null;
    const hidden = new Set(filter.hidden);
    const shown = Uint8Array.from(colouring.labels, (label) => (hidden.has(label) ? 0 : 1));
    const none = hidden.has("") ? 0 : 1;
    for (let i = 0; i < n; i++) mask[i] = shown[colouring.codes[i] as number] ?? none;
    return mask;
  }
  const { low, high } = filter;
  if (low === null && high === null) return null;
  for (let i = 0; i < n; i++) {
    const value = colouring.values[i] as number;
    // A missing value passes no limit.
    if (!(value >= (low ?? Number.NEGATIVE_INFINITY) && value <= (high ?? Number.POSITIVE_INFINITY))) mask[i] = 0;
  }
  return mask;
}

/** Return the number of points per label; the last count is "none". */
export function countCategories(colouring: Categories, shown: Uint8Array | null, n: number): number[] {
  const counts = new Array<number>(colouring.labels.length + 1).fill(0);
  for (let i = 0; i < n; i++) {
    if (shown && shown[i] === 0) continue;
    const code = colouring.codes[i] as number;
    const at = code >= 0 && code < colouring.labels.length ? code : colouring.labels.length;
    counts[at] = (counts[at] as number) + 1;
  }
  return counts;
}
