// Colours of weights. A table of 256 colours per style is computed once.

import {
  interpolateCividis,
  interpolateGreys,
  interpolateMagma,
  interpolateViridis,
} from "d3-scale-chromatic";
import type { MapName, PatternStyle, Scale } from "./api";

const MAPS: Record<MapName, (t: number) => string> = {
  viridis: interpolateViridis,
  cividis: interpolateCividis,
  magma: interpolateMagma,
  greys: interpolateGreys,
};

/** Return the colour of a brightness from 0 to 1, as CSS text. */
export function colourAt(map: MapName, brightness: number): string {
  return MAPS[map](Math.min(1, Math.max(0, brightness)));
}

/** Return the brightness, 0 to 1, of a byte, round(255 * sqrt(weight)); `top` has brightness 1. */
export function brightness(byte: number, scale: Scale, top = 255): number {
  const root = Math.min(1, byte / Math.max(1, top));
  if (scale === "sqrt") return root;
  if (scale === "linear") return root * root;
  // From the smallest weight above 0 that a byte can hold, 1/65,025, to the largest.
  return byte <= 0 ? 0 : Math.min(1, Math.max(0, Math.log(byte) / Math.log(Math.max(2, top))));
}

/** Parse a colour of d3 or of the palettes: `#440154`, `rgb(68, 1, 84)` or `hsl(120 50% 40%)`. */
export function rgb(css: string): [number, number, number] {
  const hsl = /^hsl\(([\d.]+) ([\d.]+)% ([\d.]+)%\)$/.exec(css);
  if (hsl) return fromHsl(Number(hsl[1]), Number(hsl[2]) / 100, Number(hsl[3]) / 100);
  const hex = /^#([0-9a-f]{6})$/i.exec(css);
  if (hex) {
    const all = Number.parseInt(hex[1] as string, 16);
    return [all >> 16, (all >> 8) & 255, all & 255];
  }
  const parts = css.match(/[\d.]+/g) ?? [];
  return [Number(parts[0] ?? 0), Number(parts[1] ?? 0), Number(parts[2] ?? 0)];
}

function fromHsl(hue: number, saturation: number, light: number): [number, number, number] {
  const reach = saturation * Math.min(light, 1 - light);
  const channel = (at: number) => {
    const k = (at + hue / 30) % 12;
    return Math.round(255 * (light - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

const tables = new Map<string, Uint8Array>();

/** Return red, green and blue of each of the 256 bytes. */
export function colourTable(style: Pick<PatternStyle, "scale" | "map">, top = 255): Uint8Array {
  const key = `${style.map} ${style.scale} ${top}`;
  const known = tables.get(key);
  if (known) return known;
  const table = new Uint8Array(256 * 3);
  for (let byte = 0; byte < 256; byte++) {
    table.set(rgb(colourAt(style.map, brightness(byte, style.scale, top))), byte * 3);
  }
  tables.set(key, table);
  return table;
}
