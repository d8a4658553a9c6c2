// Positions of the nodes of a tree. Pure functions.

import { cluster, hierarchy, type HierarchyPointNode } from "d3-hierarchy";
import { childrenOf, heightOf, leavesOf } from "../../data/tree";

/** A drawn node. */
export interface Drawn {
  node: number;
  /** Number of leaves below it. */
  size: number;
  height: number;
  /** Whether the branch below it is drawn as a wedge. */
  folded: boolean;
  children: Drawn[];
}

/** A node with its horizontal position, from 0 to the width. */
export type Placed = HierarchyPointNode<Drawn>;

/** Return the number of leaves below a node. */
export function sizeOf(linkage: Float32Array, node: number): number {
  const merge = node - leavesOf(linkage);
  return merge < 0 ? 1 : (linkage[merge * 4 + 3] as number);
}

/** Return the top of a tree: the highest merges are expanded until there are `most` ends. */
export function top(linkage: Float32Array, most: number): Drawn {
  const n = leavesOf(linkage);
  const make = (node: number): Drawn => ({
    node,
    size: sizeOf(linkage, node),
    height: node < n ? 0 : heightOf(linkage, node - n),
    folded: node >= n,
    children: [],
  });
  const root = make(2 * n - 2);
  const byNode = new Map([[root.node, root]]);
  // Merges are sorted by height: from the end, a parent comes before its children.
  for (let node = 2 * n - 2, ends = 1; node >= n && ends < most; node--, ends++) {
    const drawn = byNode.get(node) as Drawn;
    drawn.folded = false;
    drawn.children = (childrenOf(linkage, node) as [number, number]).map(make);
    for (const child of drawn.children) byNode.set(child.node, child);
  }
  return root;
}

/** Place the ends at equal distances, in the order of the tree. */
export function place(root: Drawn, width: number): Placed {
  const tree = hierarchy<Drawn>(root, (item) => item.children);
  return cluster<Drawn>()
    .size([width, 1])
    .separation(() => 1)(tree);
}

/** Return the number of selected leaves below every node. */
export function selectedBelow(linkage: Float32Array, selected: ReadonlySet<number>): Uint32Array {
  const n = leavesOf(linkage);
  const counts = new Uint32Array(2 * n - 1);
  for (const leaf of selected) if (leaf < n) counts[leaf] = 1;
  for (let node = n; node < counts.length; node++) {
    const [left, right] = childrenOf(linkage, node) as [number, number];
    counts[node] = (counts[left] as number) + (counts[right] as number);
  }
  return counts;
}

/** Return the cluster of every node: that of its leaves if it is one, else -1. */
export function clusterBelow(linkage: Float32Array, labels: Int32Array): Int32Array {
  const n = leavesOf(linkage);
  const below = new Int32Array(2 * n - 1);
  below.set(labels);
  for (let node = n; node < below.length; node++) {
    const [left, right] = childrenOf(linkage, node) as [number, number];
    below[node] = below[left] === below[right] ? (below[left] as number) : -1;
  }
  return below;
}
