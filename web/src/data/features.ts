// Features of patterns, and their mean for every head.

import type { Feature, Features, Manifest } from "../contract/generated";
import { fileOfHead } from "./head-files";
import { floats, json } from "./source";

/** Load the descriptions of all features, and the names of the data files. */
export function loadFeatures(manifest: Manifest): Promise<Features> {
  return json<Features>(manifest.features);
}

/** Load the mean of every feature over the prompts: (H, F). */
export async function loadHeadMeans(manifest: Manifest): Promise<Float32Array> {
  const features = await loadFeatures(manifest);
  return floats(features.head_means, manifest.n_heads * features.features.length);
}

/** Load the correlations of the features over all patterns: (F, F). */
export async function loadCorrelation(manifest: Manifest): Promise<Float32Array> {
  const features = await loadFeatures(manifest);
  return floats(features.correlation, features.features.length ** 2, "float16");
}

/** A feature of one head, compared with all heads. */
export interface FeatureOfHead {
  feature: Feature;
  mean: number;
  /** z-score of the head's mean among the means of all heads. */
  z: number;
  /** Share of heads with a smaller mean, 0 to 100. */
  percentile: number;
}

/** Load the features of a head that are finite and not constant, the most unusual first. */
export async function loadFeaturesOfHead(manifest: Manifest, row: number): Promise<FeatureOfHead[]> {
  const { features, of_heads } = await loadFeatures(manifest);
  const width = features.length;
  const file = fileOfHead(manifest, of_heads, row);
  const compared = await floats(`${file.name}.bin`, file.nRows * 3 * width);
  const start = (row - file.firstRow) * 3 * width;
  return features
    .map((feature, place) => ({
      feature,
      mean: compared[start + place] as number,
      z: compared[start + width + place] as number,
      percentile: compared[start + 2 * width + place] as number,
    }))
    .filter((item) => Number.isFinite(item.mean) && Number.isFinite(item.z))
    .sort((a, b) => Math.abs(b.z) - Math.abs(a.z));
}

/** Load all features of a viewable pattern, in the order of `loadFeatures`. */
export async function loadFeaturesOfPattern(manifest: Manifest, row: number, prompt: number): Promise<Float32Array> {
  const { features, of_patterns } = await loadFeatures(manifest);
  const width = features.length;
  const file = fileOfHead(manifest, of_patterns, row);
  const all = await floats(`${file.name}-${prompt}.bin`, file.nRows * width);
  return all.subarray((row - file.firstRow) * width, (row - file.firstRow + 1) * width);
}
