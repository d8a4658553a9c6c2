// Which heads are selected: single ones, whole clusters, branches of the tree.

import { membersOf, leavesBelow } from "../../data/tree";
import type { Codec } from "../../state/codecs";

/** A cluster of the cut, or a node of the tree; heads are in the parameter `heads`. */
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

/** Picks with one more, or without it if it was there. */
export function toggled(picks: readonly Pick[], pick: Pick): Pick[] {
  const remaining = picks.filter((item) => item.kind !== pick.kind || item.number !== pick.number);
  return remaining.length < picks.length ? remaining : [...picks, pick];
}

/** Rows of all selected heads, in the order of the atlas. */
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
