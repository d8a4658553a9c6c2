// Stored clusterings of the heads and the trees they were cut from.

import type { Clustering, Manifest } from "../contract/generated";
import { floats, values } from "./source";

/** Short name of a clustering, unique within the site; what a link holds. */
export function clusteringId({ method, metric }: Clustering): string {
  return `${method},${metric}`;
}

/** A clustering by its short name; the first one if the name is empty or unknown. */
export function clusteringOf(manifest: Manifest, id: string): Clustering | null {
  const named = manifest.clusterings.find((clustering) => clusteringId(clustering) === id);
  return named ?? manifest.clusterings[0] ?? null;
}

/** Cluster number per head; -1 is unclustered. */
export async function loadLabels(
  manifest: Manifest,
  clustering: Clustering,
): Promise<Int32Array> {
  return (await values(clustering.labels, "int32", manifest.n_heads)) as Int32Array;
}

/** Rows of the tree as scipy's: left, right, height, size; null without a tree. */
export async function loadLinkage(
  manifest: Manifest,
  clustering: Clustering,
): Promise<Float32Array | null> {
  if (clustering.linkage === null) return null;
  return floats(clustering.linkage, Math.max(0, manifest.n_heads - 1) * 4);
}

/** Name of a cluster: the one that a person gave, else its number. */
export function clusterName(clustering: Clustering, cluster: number): string {
  if (cluster < 0) return "unclustered";
  return clustering.names[String(cluster)] ?? `cluster ${cluster}`;
}
