// Attention patterns: packed lower triangles of bytes, scaled by square root.

import type { Manifest } from "../contract/generated";
import { headName, modelOfRow } from "./heads";
import { loadPrompts } from "./prompts";
import { bytes, DataError } from "./source";

/** One pattern. Rows are queries, columns are keys; entries above the diagonal are 0. */
export interface Pattern {
  /** Row of the head in the atlas. */
  head: number;
  prompt: number;
  /** Number of tokens. */
  n: number;
  /** Lower triangle row by row: n (n + 1) / 2 bytes of round(255 * sqrt(weight)). */
  triangle: Uint8Array;
}

/** Return the index of a query and key in the triangle; key must be at most query. */
export function triangleIndex(query: number, key: number): number {
  return (query * (query + 1)) / 2 + key;
}

/** Return the number of bytes of a pattern of n tokens. */
export function triangleSize(n: number): number {
  return (n * (n + 1)) / 2;
}

/** Return the weight of a byte, 0 to 1. */
export function weightOf(byte: number): number {
  return (byte / 255) ** 2;
}

/** Return the attention of a query to a key; 0 above the diagonal. */
export function weightAt(pattern: Pattern, query: number, key: number): number {
  if (key > query) return 0;
  return weightOf(pattern.triangle[triangleIndex(query, key)] ?? 0);
}

/**
 * Return the offset of a pattern in an unpacked file, in bytes.
 *
 * @param lengths number of tokens of each prompt of the file, in its order
 */
export function patternOffset(
  lengths: readonly number[],
  nHeads: number,
  promptPlace: number,
  index: number,
): number {
  let offset = 0;
  for (let i = 0; i < promptPlace; i++) offset += nHeads * triangleSize(lengths[i] ?? 0);
  return offset + index * triangleSize(lengths[promptPlace] ?? 0);
}

/** Load one pattern; the file that holds it is fetched and cached. */
export async function loadPattern(
  manifest: Manifest,
  head: number,
  prompt: number,
): Promise<Pattern> {
  const model = modelOfRow(manifest, head);
  const files = model.patterns;
  const at = files.prompts.indexOf(prompt);
  if (at < 0) {
    const what = `names no pattern of ${headName(manifest, head)} on prompt ${prompt}`;
    throw new DataError("manifest.json", what, "build the atlas with a larger --n-view-prompts, then run `motifs site` again");
  }
  const within = head - model.first_row;
  const group = Math.floor(at / files.n_prompts);
  const file = `${files.folder}/${Math.floor(within / files.n_heads)}-${group}.bin`;
  const [all, buffer] = await Promise.all([loadPrompts(manifest), bytes(file)]);
  const code = manifest.models.indexOf(model);
  const lengths = files.prompts
    .slice(group * files.n_prompts, (group + 1) * files.n_prompts)
    .map((item) => all[item]?.n_tokens[code] ?? 0);
  const expected = patternOffset(lengths, files.n_heads, lengths.length, 0);
  if (buffer.byteLength !== expected) {
    throw new DataError(file, `holds ${buffer.byteLength} bytes, not ${expected}`);
  }
  const place = at % files.n_prompts;
  const n = lengths[place] ?? 0;
  const offset = patternOffset(lengths, files.n_heads, place, within % files.n_heads);
  return { head, prompt, n, triangle: new Uint8Array(buffer, offset, triangleSize(n)) };
}
