// Sentences that explain the terms of the pages. Those of features, scores and motifs are in the data files,
// from the registries of the package.

import type { Feature } from "../contract/generated";

export const TERMS = {
  chance:
    "Probability that so many heads are at least this near if distances are dealt at random within every pair of layers. The nearest of many heads always has a low percentile; p takes this choice into account. For the first head it is at least 1 / (heads in the layer).",
  rank: "Place of the head if all heads are ordered by their distance, 1 is the nearest.",
  rand: "Agreement of two clusterings: 1 is equal, 0 is what random clusters of the same sizes have.",
  linkage: "Rule by which clusters are merged into a tree: average linkage merges the two clusters with the smallest mean distance.",
  gaussian: "Data without clusters: as many points of one Gaussian. A clustering that is as stable on them says nothing about clusters.",
  trustworthiness: "How far neighbours in the picture are neighbours in the data; at most 1.",
  continuity: "How far neighbours in the data are neighbours in the picture; at most 1.",
  z: "Distance from the mean of all heads, in standard deviations.",
  below: "Share of heads with a smaller mean.",
  probable: "Learnt from the labelled heads of other models alone; a head can be in several classes.",
  permuted: "Mean correlation when effects are permuted within layers.",
} as const;

/** Return the sentence of a feature, from the registry of the package. */
export function featureHelp({ large }: Pick<Feature, "large">): string {
  return `Large when ${large}.`;
}
