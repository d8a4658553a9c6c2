// Attention patterns: packed lower triangles of bytes, scaled by square root.

import type { Manifest, PatternChunk, Prompt } from "../contract/generated";
import { modelOfRow, placeOfRow } from "./heads";
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
 * Return the offset of a pattern in an unpacked chunk, in bytes.
 *
 * @param lengths number of tokens of each prompt of the chunk, in its order
 */
export function patternOffset(
  lengths: number[],
  nHeads: number,
  promptPlace: number,
  index: number,
): number {
  let offset = 0;
  for (let i = 0; i < promptPlace; i++) offset += nHeads * triangleSize(lengths[i] ?? 0);
  return offset + index * triangleSize(lengths[promptPlace] ?? 0);
}

/** Load one pattern; the chunk that holds it is fetched and cached. */
export async function loadPattern(
  manifest: Manifest,
  head: number,
  prompt: number,
): Promise<Pattern> {
  const model = modelOfRow(manifest, head);
  const { layer, index } = placeOfRow(model, head);
  const chunk = model.patterns.find(
    (item) =>
      item.layer === layer &&
      index >= item.first_head &&
      index < item.first_head + item.n_heads &&
      item.prompts.includes(prompt),
  );
  if (!chunk) {
    const what = `names no pattern of ${model.name}:L${layer}:H${index} on prompt ${prompt}`;
    throw new DataError("manifest.json", what, "build the atlas with a larger --n-view-prompts, then run `motifs site` again");
  }
  const prompts = await loadPrompts(manifest);
  const place = manifest.models.indexOf(model);
  return cut(chunk, await bytes(chunk.file), lengthsOf(chunk, prompts, place), {
    head,
    prompt,
    nHeads: chunk.n_heads,
    index: index - chunk.first_head,
  });
}

function lengthsOf(chunk: PatternChunk, prompts: Prompt[], model: number): number[] {
  return chunk.prompts.map((prompt) => prompts[prompt]?.n_tokens[model] ?? 0);
}

function cut(
  chunk: PatternChunk,
  buffer: ArrayBuffer,
  lengths: number[],
  which: { head: number; prompt: number; nHeads: number; index: number },
): Pattern {
  const promptPlace = chunk.prompts.indexOf(which.prompt);
  const n = lengths[promptPlace] ?? 0;
  const offset = patternOffset(lengths, which.nHeads, promptPlace, which.index);
  const expected = patternOffset(lengths, which.nHeads, lengths.length, 0);
  if (buffer.byteLength !== expected) {
    throw new DataError(chunk.file, `holds ${buffer.byteLength} bytes, not ${expected}`);
  }
  const triangle = new Uint8Array(buffer, offset, triangleSize(n));
  return { head: which.head, prompt: which.prompt, n, triangle };
}
