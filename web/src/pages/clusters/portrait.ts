// What is known of a cluster in words and numbers: its plain name, its motifs, its depth, its prompts.

import type { ClassTag, HeadExplanation, Motif } from "../../contract/generated";
import type { ClusterParts } from "./composition";

/** Least share of the heads of a cluster in the class that names it, and least lift of that class. */
const NAMING_SHARE = 0.25;
const NAMING_LIFT = 2;
/** The motif of attention that no other explains: it is no name. */
const UNEXPLAINED = "residual";
/** Bins of the depth profile, from the first layer to the last. */
export const DEPTHS = 10;

/** A motif with its mean share of the attention of a cluster and of all heads. */
export interface MotifOfCluster {
  motif: Motif;
  share: number;
  overall: number;
}

/** Return the motifs of some heads, those first whose share is farthest above that of all heads. */
export function motifsOf(
  rows: readonly number[],
  motifs: readonly Motif[],
  shares: readonly ArrayLike<number>[],
): MotifOfCluster[] {
  const listed = motifs.flatMap((motif, place) => {
    const column = shares[place];
    if (!column) return [];
    const share = meanAt(column, rows);
    return Number.isFinite(share) ? [{ motif, share, overall: overallMean(column) }] : [];
  });
  return listed.sort((a, b) => b.share - b.overall - (a.share - a.overall));
}

const means = new WeakMap<ArrayLike<number>, number>();

/** Return the mean over all heads, which is computed once per column. */
function overallMean(column: ArrayLike<number>): number {
  const mean = means.get(column) ?? meanAt(column, Array.from({ length: column.length }, (_, row) => row));
  means.set(column, mean);
  return mean;
}

function meanAt(values: ArrayLike<number>, rows: readonly number[]): number {
  let sum = 0;
  let count = 0;
  for (const row of rows) {
    const value = values[row] as number;
    if (!Number.isFinite(value)) continue;
    sum += value;
    count += 1;
  }
  return sum / count;
}

/** Return the class that names a cluster: the largest with a quarter of its heads and twice its share of all. */
export function namingClass(part: Pick<ClusterParts, "rows" | "classes">): ClusterParts["classes"][number] | null {
  const candidates = part.classes.filter(
    ({ heads, lift }) => heads > 1 && heads >= NAMING_SHARE * part.rows.length && lift >= NAMING_LIFT,
  );
  return candidates[0] ?? null;
}

/** Return a plain name: of the class of many of its heads, else of the motif with the largest excess; else empty. */
export function plainName(part: Pick<ClusterParts, "rows" | "classes">, motifs: readonly MotifOfCluster[]): string {
  const named = namingClass(part);
  if (named) return named.name.replace(/ \(computed\)$/, "");
  const first = motifs.find(({ motif }) => motif.name !== UNEXPLAINED);
  if (!first || first.share <= first.overall) return "";
  return `attention: ${first.motif.name}`;
}

/** Count heads by depth, from the first layer to the last. */
export function depthCounts(rows: readonly number[], depth: ArrayLike<number>): number[] {
  const counts = new Array<number>(DEPTHS).fill(0);
  for (const row of rows) {
    const bin = Math.min(DEPTHS - 1, Math.floor((depth[row] as number) * DEPTHS));
    counts[bin] = (counts[bin] as number) + 1;
  }
  return counts;
}

/** Return the papers that name heads of a cluster, with their addresses, those of most heads first. */
export function papersOf(rows: readonly number[], tags: readonly ClassTag[]): { paper: string; url: string; heads: number }[] {
  const inside = new Set(rows);
  const papers = new Map<string, { url: string; heads: Set<number> }>();
  for (const { row, paper, url } of tags) {
    if (paper === "" || !inside.has(row)) continue;
    const known = papers.get(paper) ?? { url, heads: new Set<number>() };
    known.heads.add(row);
    papers.set(paper, known);
  }
  return [...papers]
    .map(([paper, { url, heads }]) => ({ paper, url, heads: heads.size }))
    .sort((a, b) => b.heads - a.heads);
}

/** Return the prompts on which most of some heads are most like their mean, by the number of heads. */
export function bestPrompts(explanations: readonly HeadExplanation[]): number[] {
  const counts = new Map<number, number>();
  for (const { typical } of explanations) {
    for (const { prompt } of typical) counts.set(prompt, (counts.get(prompt) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([prompt]) => prompt);
}
