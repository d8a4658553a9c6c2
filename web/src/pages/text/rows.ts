// Heads on a text: rows of the table, the most unusual first, or the most different on two texts.

import type { Manifest } from "../../contract/generated";
import { labelText, type Labels } from "../../data/explanations";
import { headRow } from "../../data/heads";
import type { LiveResult, LiveText } from "../../data/live";
import type { Pattern } from "../../data/patterns";

/** A head on the text. */
export interface TextRow {
  /** `model:L5:H3`. */
  head: string;
  model: string;
  layer: number;
  index: number;
  /** What the atlas knows of it, in a few words. */
  known: string;
  /** Standard deviations above the head's usual distance. */
  unusual: number | null;
  /** Distance in units of the usual one. */
  distance: number | null;
  /** Share of prompts that are at least as far. */
  share: number | null;
  /** Share of attention that goes to other tokens on the other text. */
  moved: number | null;
  /** Distance between the patterns on the two texts, in units of the usual one. */
  between: number | null;
}

/** Return the rows of all heads, in the order in which they deserve a look. */
export function textRows(manifest: Manifest, labels: Labels, result: LiveResult): TextRow[] {
  const rows = result.readings
    .filter((reading) => reading.text === 0)
    .flatMap((reading) => {
      const apart = result.differences.find((item) => item.model === reading.model);
      return Array.from({ length: reading.layers.length * reading.n_heads }, (_, place): TextRow => {
        const layer = reading.layers[Math.floor(place / reading.n_heads)] ?? 0;
        const index = place % reading.n_heads;
        const head = `${reading.model}:L${layer}:H${index}`;
        const row = headRow(manifest, head);
        return {
          head,
          model: reading.model,
          layer,
          index,
          known: row === null ? "" : labelText(manifest, labels, row),
          unusual: reading.unusual?.[place] ?? null,
          distance: reading.distance?.[place] ?? null,
          share: reading.share?.[place] ?? null,
          moved: apart?.moved?.[place] ?? null,
          between: apart?.distance?.[place] ?? null,
        };
      });
    });
  const by = result.differences.length > 0 ? (row: TextRow) => row.moved ?? row.between : (row: TextRow) => row.unusual;
  const value = (row: TextRow) => by(row) ?? Number.NEGATIVE_INFINITY;
  return rows.sort((a, b) => value(b) - value(a) || 0);
}

/** Return the patterns of a layer in a reading; none if the model was not read there. */
export function patternsOf(reading: LiveText, layer: number): Pattern[] {
  return reading.patterns[reading.layers.indexOf(layer)] ?? [];
}

/** Return the readings of a model: on the text, and on the other one if there are two. */
export function readingsOf(result: LiveResult, model: string): LiveText[] {
  return result.readings.filter((reading) => reading.model === model);
}
