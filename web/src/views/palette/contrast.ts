// Colours that are distinct from the ground in both themes.

import { rgb } from "../pattern-canvas/colour-map";

/** Least ratio of luminances of a category and its ground, as WCAG asks for graphics. */
export const LEAST_CONTRAST = 3;
/** The ground of each theme that is nearest to the colours on it: `--panel` in light, `--raised` in dark. */
export const GROUNDS = { light: "#f6f7f9", dark: "#22272e" } as const;

const STEP = 0.04;

/** Return the ratio of the luminances of two colours, 1 to 21 (WCAG 2). */
export function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

function luminance(colour: string): number {
  const [r, g, b] = rgb(colour).map((byte) => {
    const share = byte / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const known = new Map<string, string>();

/** Return a colour mixed with white (dark theme) or black until it is distinct from the ground. */
export function onGround(colour: string, isDark: boolean): string {
  const key = `${colour} ${isDark}`;
  const mixed = known.get(key) ?? mix(colour, isDark);
  known.set(key, mixed);
  return mixed;
}

function mix(colour: string, isDark: boolean): string {
  const [ground, end] = isDark ? [GROUNDS.dark, 255] : [GROUNDS.light, 0];
  const parts = rgb(colour);
  for (let share = 0; share < 1; share += STEP) {
    const mixed = parts.map((byte) => Math.round(byte + share * (end - byte)));
    const text = `#${mixed.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
    if (contrast(text, ground) >= LEAST_CONTRAST) return text;
  }
  return isDark ? "#ffffff" : "#000000";
}
