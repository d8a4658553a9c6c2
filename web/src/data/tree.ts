// Trees of merges, as in scipy, and their cuts.
//
// Row k of a tree of n leaves merges two nodes into node n + k: left, right, height, size.

/** A cut of a tree: by number of clusters, or by the height of the highest merge. */
export type Cut = { by: "number"; value: number } | { by: "height"; value: number };

/** Label of a head in no cluster. */
export const UNCLUSTERED = -1;

/** Return the number of leaves. */
export function leavesOf(linkage: Float32Array): number {
  return linkage.length / 4 + 1;
}

/** Return the height of a merge, counted from 0. */
export function heightOf(linkage: Float32Array, merge: number): number {
  return linkage[merge * 4 + 2] as number;
}

/** Return the children of a node; null for a leaf. */
export function childrenOf(linkage: Float32Array, node: number): [number, number] | null {
  const merge = node - leavesOf(linkage);
  if (merge < 0) return null;
  return [linkage[merge * 4] as number, linkage[merge * 4 + 1] as number];
}

/** Return the number of merges below a cut. Cuts out of range are moved to the bound. */
export function mergesMade(linkage: Float32Array, cut: Cut): number {
  const n = leavesOf(linkage);
  if (cut.by === "number") return n - Math.min(n, Math.max(1, Math.round(cut.value)));
  let low = 0;
  let high = n - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (heightOf(linkage, middle) <= cut.value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Return a height between the two merges around a cut. */
export function heightOfCut(linkage: Float32Array, cut: Cut): number {
  if (cut.by === "height") return cut.value;
  const merged = mergesMade(linkage, cut);
  const merges = linkage.length / 4;
  const below = merged > 0 ? heightOf(linkage, merged - 1) : 0;
  const above = merged < merges ? heightOf(linkage, merged) : below * 1.02;
  return (below + above) / 2;
}

/**
 * Cut a tree; return the cluster of every leaf, as Python's `clustering.cut` does.
 *
 * @returns labels from 0, largest cluster first; of equal clusters, the one with the first leaf comes first;
 *   leaves in clusters below `minSize` are -1.
 */
export function cutTree(linkage: Float32Array, cut: Cut, minSize = 1): Int32Array {
  const n = leavesOf(linkage);
  const label = Int32Array.from({ length: 2 * n - 1 }, (_, node) => node);
  // From the root down: children take their parent's label.
  for (let merge = mergesMade(linkage, cut) - 1; merge >= 0; merge--) {
    const mine = label[n + merge] as number;
    label[linkage[merge * 4] as number] = mine;
    label[linkage[merge * 4 + 1] as number] = mine;
  }
  return numberBySize(label.subarray(0, n), minSize);
}

/** Renumber clusters by size, then by first member. Negative labels stay unclustered. */
export function numberBySize(labels: Int32Array, minSize = 1): Int32Array {
  const groups = new Map<number, { first: number; size: number }>();
  labels.forEach((label, row) => {
    const group = groups.get(label);
    if (group) group.size += 1;
    else groups.set(label, { first: row, size: 1 });
  });
  const order = [...groups]
    .filter(([label, group]) => label >= 0 && group.size >= minSize)
    .sort(([, a], [, b]) => b.size - a.size || a.first - b.first);
  const numbers = new Map(order.map(([label], number) => [label, number]));
  return labels.map((label) => numbers.get(label) ?? UNCLUSTERED);
}

/** Return the leaves from left to right, as scipy's `leaves_list`. */
export function leafOrder(linkage: Float32Array): Uint32Array {
  const n = leavesOf(linkage);
  return leavesBelow(linkage, 2 * n - 2);
}

/** Return the leaves below a node, from left to right; the node itself if it is a leaf. */
export function leavesBelow(linkage: Float32Array, node: number): Uint32Array {
  const leaves: number[] = [];
  const stack = [node];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const children = childrenOf(linkage, at);
    if (children) stack.push(children[1], children[0]);
    else leaves.push(at);
  }
  return Uint32Array.from(leaves);
}

/** Return the heads of every cluster, largest cluster first, without unclustered heads. */
export function membersOf(labels: Int32Array): number[][] {
  const members: number[][] = [];
  labels.forEach((label, row) => {
    if (label >= 0) (members[label] ??= []).push(row);
  });
  return Array.from(members, (item) => item ?? []);
}
