// The nearest patterns on a prompt, in the embedding.

import type { Manifest } from "../../contract/generated";
import { ranking } from "../../data/distances";
import { fileOfHead } from "../../data/head-files";
import { euclidean, loadPromptPoints } from "../../data/points";
import { floats, values } from "../../data/source";

/** The pattern of another head on the same prompt. */
export interface NearPattern {
  head: number;
  distance: number;
}

/** Patterns of a prompt of which the embedding is loaded. */
const FEW = 10;

/** Load the nearest patterns on the same prompt, nearest first; a pattern need not be stored for that. */
export async function loadNearestPatterns(manifest: Manifest, row: number, prompt: number): Promise<NearPattern[]> {
  const { nearest } = manifest.points;
  if (nearest === null || prompt >= nearest.n_prompts) {
    const points = await loadPromptPoints(manifest, prompt);
    const distances = euclidean(points, manifest.points.n_components, row);
    return ranking(distances, [row]).slice(0, FEW).map((head) => ({ head, distance: distances[head] as number }));
  }
  const file = fileOfHead(manifest, nearest.files, row);
  const [heads, distances] = await Promise.all([
    values(`${file.name}-${prompt}-heads.bin`, "uint32", file.nRows * nearest.n),
    floats(`${file.name}-${prompt}.bin`, file.nRows * nearest.n),
  ]);
  const start = (row - file.firstRow) * nearest.n;
  return Array.from({ length: nearest.n }, (_, i) => ({
    head: heads[start + i] as number,
    distance: distances[start + i] as number,
  })).filter(({ distance }) => Number.isFinite(distance));
}
