// Colours of categories and numbers. The colours of class groups are in the manifest.

import { interpolateCividis } from "d3-scale-chromatic";
import { CATEGORIES, NONE } from "./api";

/** Return the colour of a category: from the palette, then hues a golden angle apart. */
export function categoryColour(place: number): string {
  if (place < 0) return NONE;
  const known = CATEGORIES[place];
  if (known !== undefined) return known;
  const hue = Math.round((place * 137.508) % 360);
  return `hsl(${hue} 55% ${place % 2 === 0 ? 45 : 62}%)`;
}

/** Return the colour of a number from 0 to 1 (cividis); grey for NaN. */
export function numberColour(share: number): string {
  return Number.isFinite(share) ? interpolateCividis(Math.min(1, Math.max(0, share))) : NONE;
}
