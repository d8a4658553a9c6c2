// The clustering and its cut: parameters that all pages share.

import type { Clustering, Manifest } from "../../contract/generated";
import { clusteringOf, loadLabels, loadLinkage } from "../../data/clusters";
import { cutTree, type Cut } from "../../data/tree";
import { integer, text } from "../../state/codecs";
import { useResource, type Resource } from "../../state/resource";
import { param } from "../../state/url";
import { cutCodec } from "./codec";

/** Short name of a clustering; empty is the first. */
export const clustering = param("clustering", text, "");
/** Cut of its tree; null is the stored one. */
export const cut = param("cut", cutCodec, null);
/** Heads in smaller clusters are unclustered; 0 is as stored. */
export const minSize = param("min_size", integer(0, 9999), 0);

/** The clustering and cut that the link names. */
export interface CutClustering {
  clustering: Clustering;
  /** Null where the method has no tree. */
  linkage: Float32Array | null;
  labels: Int32Array;
  /** Whether the labels are the stored ones: only then is their stability known. */
  stored: boolean;
}

/** Load the clustering that the link names; null where the atlas holds none. */
export function useClustering(manifest: Manifest): Resource<CutClustering | null> {
  const chosen = clusteringOf(manifest, clustering.value);
  const how = cut.value;
  const least = minSize.value;
  return useResource(
    () => loadCut(manifest, chosen, how, least),
    [chosen, cutCodec.write(how), least],
    { keep: true },
  );
}

async function loadCut(
  manifest: Manifest,
  chosen: Clustering | null,
  how: Cut | null,
  least: number,
): Promise<CutClustering | null> {
  if (!chosen) return null;
  const [linkage, labels] = await Promise.all([
    loadLinkage(manifest, chosen),
    loadLabels(manifest, chosen),
  ]);
  if (!linkage || (how === null && least === 0)) {
    return { clustering: chosen, linkage, labels, stored: true };
  }
  const labelled = cutTree(linkage, how ?? storedCut(chosen, labels), Math.max(1, least));
  const stored = labelled.every((label, row) => label === labels[row]);
  return { clustering: chosen, linkage, labels: labelled, stored };
}

/** Return the cut that gave the stored labels. */
export function storedCut(chosen: Clustering, labels: Int32Array): Cut {
  const { height, n_clusters: number } = chosen.parameters;
  if (typeof height === "number") return { by: "height", value: height };
  if (typeof number === "number") return { by: "number", value: number };
  return { by: "number", value: new Set(labels).size };
}
