// Features of patterns, and their mean for every head.

import type { Feature, Features, Manifest } from "../contract/generated";
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

/** Return the features of a head that are finite and not constant, the most unusual first. */
export function featuresOfHead(
  features: Feature[],
  means: Float32Array,
  row: number,
): FeatureOfHead[] {
  const width = features.length;
  const nHeads = width === 0 ? 0 : means.length / width;
  const unusual: FeatureOfHead[] = [];
  features.forEach((feature, place) => {
    const mean = means[row * width + place] as number;
    let sum = 0;
    let count = 0;
    let below = 0;
    for (let head = 0; head < nHeads; head++) {
      const value = means[head * width + place] as number;
      if (!Number.isFinite(value)) continue;
      sum += value;
      count += 1;
      if (value < mean) below += 1;
    }
    const centre = sum / count;
    let squares = 0;
    for (let head = 0; head < nHeads; head++) {
      const value = means[head * width + place] as number;
      if (Number.isFinite(value)) squares += (value - centre) ** 2;
    }
    // Standard deviation with ddof 0, as in Python.
    const spread = Math.sqrt(squares / count);
    // A constant feature can vary by rounding.
    if (!Number.isFinite(mean) || !(spread > 1e-9 * Math.max(1, Math.abs(centre)))) return;
    unusual.push({ feature, mean, z: (mean - centre) / spread, percentile: (100 * below) / count });
  });
  return unusual.sort((a, b) => Math.abs(b.z) - Math.abs(a.z));
}
