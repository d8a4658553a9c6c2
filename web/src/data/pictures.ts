// Small mean patterns of heads, and their means over groups of heads.

import type { Manifest } from "../contract/generated";
import { headCount, modelOfRow } from "./heads";
import { triangleSize, weightOf, type Pattern } from "./patterns";
import { values } from "./source";

/** Number of heads that stand for a larger group. */
const SAMPLE = 64;

/** The pictures of the heads of some models. */
export interface Pictures {
  side: number;
  /** Return the lower triangle of a head, in bytes as in `Pattern`. */
  of: (row: number) => Uint8Array;
}

/** Load the pictures of the models of some heads; null if the site holds none. */
export async function loadPictures(manifest: Manifest, rows: readonly number[]): Promise<Pictures | null> {
  const pictures = manifest.pictures;
  if (!pictures) return null;
  const size = triangleSize(pictures.side);
  const models = [...new Set(rows.map((row) => modelOfRow(manifest, row)))];
  const loaded = await Promise.all(
    models.map(async (model) => {
      const file = pictures.files[manifest.models.indexOf(model)] as string;
      return [model, (await values(file, "uint8", headCount(model) * size)) as Uint8Array] as const;
    }),
  );
  const files = new Map(loaded);
  return {
    side: pictures.side,
    of: (row) => {
      const model = modelOfRow(manifest, row);
      const start = (row - model.first_row) * size;
      return files.get(model)?.subarray(start, start + size) ?? new Uint8Array(size);
    },
  };
}

/** Load the mean pictures of all classes, in the order of `loadClasses`; null if the site holds none. */
export async function loadClassPictures(manifest: Manifest, nClasses: number): Promise<Pattern[] | null> {
  const pictures = manifest.pictures;
  if (!pictures) return null;
  const size = triangleSize(pictures.side);
  const all = (await values(pictures.classes, "uint8", nClasses * size)) as Uint8Array;
  return Array.from({ length: nClasses }, (_, place) => ({
    head: 0,
    prompt: -1,
    n: pictures.side,
    triangle: all.subarray(place * size, (place + 1) * size),
  }));
}

/** Return at most `most` of the rows, evenly spaced. */
export function spaced(rows: readonly number[], most: number): number[] {
  if (rows.length <= most) return [...rows];
  return Array.from({ length: most }, (_, place) => rows[Math.floor((place * rows.length) / most)] as number);
}

/** Return the mean of the pictures of some heads, or of 64 of them, as a pattern of `side` tokens. */
export function meanPicture(pictures: Pictures, rows: readonly number[]): Pattern {
  const size = triangleSize(pictures.side);
  const sums = new Float64Array(size);
  const sample = spaced(rows, SAMPLE);
  for (const row of sample) {
    pictures.of(row).forEach((byte, at) => (sums[at] = (sums[at] as number) + weightOf(byte)));
  }
  const triangle = Uint8Array.from(sums, (sum) => Math.round(255 * Math.sqrt(sum / Math.max(1, sample.length))));
  return { head: sample[0] ?? 0, prompt: -1, n: pictures.side, triangle };
}
