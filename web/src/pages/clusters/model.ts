// The data that the parts of the page share.

import type { HeadClass, Manifest } from "../../contract/generated";
import { clusterName } from "../../data/clusters";
import { carryOver, readNames, type ClusterName, type NamedClusters } from "../../data/cluster-names";
import type { Heads } from "../../data/heads";
import { themedCategory } from "../../views/palette/themed";
import type { CutClustering } from "../clustering/cut";
import { compositions, type ClusterParts } from "./composition";

/** A clustering as the page shows it. */
export interface View {
  manifest: Manifest;
  cut: CutClustering;
  heads: Heads;
  classes: readonly HeadClass[];
  /** Names of all heads. */
  names: readonly string[];
  parts: readonly ClusterParts[];
  named: NamedClusters;
  colour: (cluster: number) => string;
  /** The given name of a cluster, else its number. */
  title: (cluster: number) => string;
}

/** Gather the data of the page. */
export function makeView(
  given: Pick<View, "manifest" | "cut" | "heads" | "classes" | "names">,
  known: readonly ClusterName[],
): View {
  const { manifest, cut, heads, classes, names } = given;
  const parts = compositions(cut.labels, heads, manifest.models.length, classes);
  const named = carryOver(known, names, cut.labels);
  const title = (cluster: number) =>
    named.names.get(cluster)?.name ??
    (cluster < 0 || cut.stored ? clusterName(cut.clustering, cluster) : `cluster ${cluster}`);
  return { ...given, parts, named, colour: themedCategory, title };
}

/** Read the names stored in this browser; none if they cannot be read. */
export function keptNames(text: string | null): ClusterName[] {
  try {
    return text === null ? [] : readNames(text);
  } catch {
    return [];
  }
}

/** Return the key under which the browser stores names for these models. */
export function namesKey(manifest: Manifest): string {
  return `attention-motifs cluster names ${manifest.models.map((model) => model.name).join(" ")}`;
}
