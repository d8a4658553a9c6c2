// Stored clusterings of the heads, and their trees.

import type { Clustering, Manifest } from "../contract/generated";
import { floats, values } from "./source";

/** Return the id of a clustering in links. */
export function clusteringId({ method, metric }: Clustering): string {
  return `${method},${metric}`;
}

/** Return the clustering with an id; the first one if the id is empty or unknown. */
export function clusteringOf(manifest: Manifest, id: string): Clustering | null {
  const named = manifest.clusterings.find((clustering) => clusteringId(clustering) === id);
  return named ?? manifest.clusterings[0] ?? null;
}

/** Load the cluster number of every head; -1 is unclustered. */
export async function loadLabels(
  manifest: Manifest,
  clustering: Clustering,
): Promise<Int32Array> {
  return (await values(clustering.labels, "int32", manifest.n_heads)) as Int32Array;
}

/** Load the tree: rows of left, right, height and size, as in scipy; null if there is none. */
export async function loadLinkage(
  manifest: Manifest,
  clustering: Clustering,
): Promise<Float32Array | null> {
  if (clustering.linkage === null) return null;
  return floats(clustering.linkage, Math.max(0, manifest.n_heads - 1) * 4);
}

/** Return the given name of a cluster, else its number. */
export function clusterName(clustering: Clustering, cluster: number): string {
  if (cluster < 0) return "unclustered";
  return clustering.names[String(cluster)] ?? `cluster ${cluster}`;
}
