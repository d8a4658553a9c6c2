// The selection: heads, clusters and branches of the tree.

import { membersOf, leavesBelow } from "../../data/tree";
import type { Codec } from "../../state/codecs";

/** A selected cluster, or a selected node of the tree. */
export interface Pick {
  kind: "cluster" | "branch";
  number: number;
}

/** `c3` or `b355`. */
export const pickCodec: Codec<Pick> = {
  read: (value) => {
    const match = /^([cb])(\d{1,9})$/.exec(value);
    if (!match) return undefined;
    return { kind: match[1] === "c" ? "cluster" : "branch", number: Number(match[2]) };
  },
  write: ({ kind, number }) => `${kind[0]}${number}`,
};

/** Return the picks with one added, or removed if it was among them. */
export function toggled(picks: readonly Pick[], pick: Pick): Pick[] {
  const remaining = picks.filter((item) => item.kind !== pick.kind || item.number !== pick.number);
  return remaining.length < picks.length ? remaining : [...picks, pick];
}

/** Return the rows of all selected heads, in the order of the atlas. */
export function selectedRows(
  heads: readonly number[],
  picks: readonly Pick[],
  labels: Int32Array,
  linkage: Float32Array | null,
): number[] {
  const rows = new Set(heads);
  const members = membersOf(labels);
  for (const { kind, number } of picks) {
    if (kind === "cluster") for (const row of members[number] ?? []) rows.add(row);
    else if (linkage && number < 2 * labels.length - 1) {
      for (const row of leavesBelow(linkage, number)) rows.add(row);
    }
  }
  return [...rows].sort((a, b) => a - b);
}
