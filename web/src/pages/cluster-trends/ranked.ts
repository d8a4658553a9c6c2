// The feature that heads are ranked by.

import type { Manifest } from "../../contract/generated";
import { loadFeatures, loadHeadMeans } from "../../data/features";
import type { Ranked } from "./gather";

/** The features to choose from, and the chosen one. */
export interface Choice {
  names: string[];
  ranked: Ranked;
}

/** Load the means of a feature; of the first entropy if no feature has that name. */
export async function loadRanked(manifest: Manifest, name: string): Promise<Choice | null> {
  const [{ features }, means] = await Promise.all([loadFeatures(manifest), loadHeadMeans(manifest)]);
  const names = features.map((feature) => feature.name);
  const entropy = names.findIndex((name) => name.includes("entropy"));
  const place = names.includes(name) ? names.indexOf(name) : Math.max(0, entropy);
  if (names.length === 0) return null;
  const ofHeads = Float32Array.from({ length: manifest.n_heads }, (_, row) => means[row * names.length + place] as number);
  return { names, ranked: { name: names[place] as string, means: ofHeads } };
}
