// The nearest patterns on a prompt, in the embedding.

import type { Manifest } from "../../contract/generated";
import { ranking } from "../../data/distances";
import { euclidean, loadPromptPoints } from "../../data/points";

/** Distances of a pattern to those of all heads on the same prompt, and the other heads, nearest first. */
export interface NearestPatterns {
  distances: Float32Array;
  order: number[];
}

/** Load the nearest patterns on the same prompt; a pattern need not be stored for that. */
export async function loadNearestPatterns(manifest: Manifest, row: number, prompt: number): Promise<NearestPatterns> {
  const points = await loadPromptPoints(manifest, prompt);
  const distances = euclidean(points, manifest.points.n_components, row);
  return { distances, order: ranking(distances, [row]) };
}
