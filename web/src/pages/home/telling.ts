// What the workbench shows first. Pure functions.

import type { Manifest } from "../../contract/generated";
import type { Labels } from "../../data/explanations";
import { triangleIndex, type Pattern } from "../../data/patterns";
import type { Cell } from "../../views/pattern-matrix/api";

/** Least probability of a verdict that colours a head. */
const SURE = 0.8;

/** Return the head to open on: the highest of the first score, else a head of a class, else the first. */
export function tellingHead(manifest: Manifest, labels: Labels): number {
  for (const score of manifest.scores) {
    const values = labels.measured.get(score.name);
    const best = values ? highest(values) : -1;
    if (best >= 0) return best;
  }
  return labels.byHead.keys().next().value ?? 0;
}

function highest(values: ArrayLike<number>): number {
  let best = -1;
  for (let row = 0; row < values.length; row++) {
    const value = values[row] as number;
    if (Number.isFinite(value) && (best < 0 || value > (values[best] as number))) best = row;
  }
  return best;
}

/** Return the cell with the largest weight on another token than the first and itself; null without one. */
export function tellingCell({ n, triangle }: Pattern): Cell | null {
  let best: Cell | null = null;
  let most = -1;
  for (let query = 2; query < n; query++) {
    for (let key = 1; key < query; key++) {
      const byte = triangle[triangleIndex(query, key)] as number;
      if (byte > most) [most, best] = [byte, { query, key }];
    }
  }
  return best;
}

/** Return the class group that a head is coloured by: a known class, else a probable verdict; else null. */
export function groupOf(manifest: Manifest, { byHead, verdicts }: Labels, row: number): string | null {
  const known = byHead.get(row)?.[0]?.class.group;
  if (known !== undefined) return known;
  const verdict = verdicts?.verdict(row) ?? "";
  const isSure = (verdicts?.probability[row] ?? 0) >= SURE;
  return isSure && verdict in manifest.groups ? verdict : null;
}
