// The heads in the rows of the workbench. Pure functions.

import type { DistanceMetric, Manifest } from "../../contract/generated";
import { labelText, type Labels } from "../../data/explanations";
import { headName } from "../../data/heads";
import { nearByChance } from "../../data/nearness";
import type { RowGroup, RowHead } from "../../views/pattern-rows/api";
import type { Neighbours } from "../head/load";

/** A head with its distance to the chosen one. */
export interface BenchRow extends RowHead {
  /** What is known of the head; empty if nothing is. */
  label: string;
  /** NaN for the chosen head. */
  distance: number;
  /** 1 = nearest; 0 for the chosen head. */
  rank: number;
  /** Probability that the k-th nearest head is at least as near by chance; null if it is not known. */
  chance: number | null;
}

interface Request {
  manifest: Manifest;
  labels: Labels;
  row: number;
  metric: DistanceMetric | null;
  /** Null while they load, and without a metric. */
  neighbours: Neighbours | null;
  /** 1 for heads that pass the filters. */
  passes: Uint8Array;
  /** 1 for heads in the rectangle on the map; null without one. */
  within: Uint8Array | null;
  /** Number of look-alikes. */
  n: number;
}

/** Return the chosen head, then the nearest heads that pass the filters, or the nearest in the rectangle. */
export function benchRows(request: Request): RowGroup<BenchRow>[] {
  const { manifest, labels, row, metric, neighbours, passes, within, n } = request;
  const plain = (item: number): BenchRow => ({
    row: item,
    head: headName(manifest, item),
    label: labelText(manifest, labels, item),
    distance: Number.NaN,
    rank: 0,
    chance: null,
  });
  const groups: RowGroup<BenchRow>[] = [{ key: "this", title: "", heads: [plain(row)] }];
  if (!metric || !neighbours) return groups;
  const passing = neighbours.order.filter((item) => passes[item] === 1 && (!within || within[item] === 1));
  const near = passing.slice(0, n);
  // Heads in a rectangle were chosen by their place, so chance cannot be computed for them.
  const chance = within || !neighbours.block ? null : nearByChance(manifest, neighbours.block, row, passes, near);
  const heads = near.map((item, place) => ({
    ...plain(item),
    distance: neighbours.distances[item] as number,
    rank: neighbours.ranks[item] as number,
    chance: chance?.[place] ?? null,
  }));
  const by = `by ${metric.name}: ${metric.title.toLowerCase()}`;
  groups.push({
    key: "near",
    title: within ? "In the rectangle" : "Look-alikes",
    help: within ? `the nearest ${near.length} of ${passing.length} heads ${by}` : `the nearest ${near.length} heads ${by}`,
    heads,
    empty: "No head matches the filters.",
  });
  return groups;
}
