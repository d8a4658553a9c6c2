// Filters, order and frame colours of the patterns. Pure functions.

import { categoryColour, numberColour } from "../../views/palette/palette";

/** One image. */
export interface Item {
  row: number;
  head: string;
  model: string;
  /** Place of the model in the atlas. */
  modelPlace: number;
  layer: number;
  /** Number of the head in its layer. */
  index: number;
  /** Place of the prompt. */
  prompt: number;
  promptId: string;
}

export type Key = "model" | "layer" | "index" | "prompt";

/** Return the filter that a caption sets, as `layer:5`. */
export function filterOf(item: Item, key: Key): string {
  return `${key}:${key === "prompt" ? item.promptId : item[key]}`;
}

/** Return the items that pass: one filter of each kind must match, so two layers mean either of them. */
export function filtered(items: readonly Item[], filters: readonly string[]): Item[] {
  const keys = [...new Set(filters.map((item) => item.slice(0, item.indexOf(":")) as Key))];
  return items.filter((item) => keys.every((key) => filters.includes(filterOf(item, key))));
}

/** Sort by one key, then by model, layer, head and prompt. */
export function sorted(items: readonly Item[], by: Key | "head"): Item[] {
  const value = (item: Item, key: Key) => (key === "model" ? item.modelPlace : item[key]);
  const keys: Key[] = ["model", "layer", "index", "prompt"];
  if (by !== "head") keys.unshift(by);
  return [...items].sort((a, b) => {
    for (const key of keys) {
      const difference = value(a, key) - value(b, key);
      if (difference !== 0) return difference;
    }
    return 0;
  });
}

/** Return the colour of a frame; undefined for no frame. */
export function frameColour(
  item: Item,
  by: Key | "none",
  promptOrder: readonly number[],
  deepest: number,
  category: (place: number) => string = categoryColour,
): string | undefined {
  if (by === "none") return undefined;
  if (by === "layer") return numberColour(item.layer / Math.max(1, deepest));
  if (by === "model") return category(item.modelPlace);
  return category(by === "prompt" ? promptOrder.indexOf(item.prompt) : item.index);
}
