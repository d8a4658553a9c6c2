// Heads and prompts that the page shows. The same link always gives the same ones.

import type { HeadExplanation } from "../../contract/generated";
import { generator, sample } from "../../state/random";

/** A head that is compared with the viewed one. */
export interface Shown {
  row: number;
  distance: number;
  /** Rank among all other heads, 1 = nearest; 0 if it has none. */
  rank: number;
}

/** Heads of each kind. A head is in one kind only, except for those of the same class. */
export interface Chosen {
  near: Shown[];
  far: Shown[];
  same: Shown[];
  random: Shown[];
}

export interface Request {
  /** Heads in order of distance. */
  order: readonly number[];
  distances: Float32Array;
  ranks: Uint32Array;
  /** 1 for heads that pass the filters. */
  passes: Uint8Array;
  /** Heads that share a class with the viewed heads. */
  mates: ReadonlySet<number>;
  counts: { near: number; far: number; same: number; random: number };
  seed: number;
}

/** Choose heads. The farthest come farthest first; random and same-class heads are sorted by distance. */
export function chooseRows(request: Request): Chosen {
  const { order, distances, ranks, passes, mates, counts, seed } = request;
  const passing = order.filter((row) => passes[row] === 1);
  const near = passing.slice(0, counts.near);
  const far = passing.slice(Math.max(near.length, passing.length - counts.far)).reverse();
  const shown = (rows: number[]) =>
    rows.map((row) => ({ row, distance: distances[row] as number, rank: ranks[row] as number }));
  const byDistance = (rows: number[]) => rows.sort((a, b) => (ranks[a] as number) - (ranks[b] as number));
  const same = sample(
    passing.filter((row) => mates.has(row)),
    counts.same,
    generator(seed),
  );
  const taken = new Set([...near, ...far]);
  const random = sample(
    passing.filter((row) => !taken.has(row)),
    counts.random,
    // Another random stream than that of the same-class heads.
    generator(seed + 1_000_003),
  );
  return {
    near: shown(near),
    far: shown(far),
    same: shown(byDistance(same)),
    random: shown(byDistance(random)),
  };
}

/** Return viewable prompts, those first on which the head is most itself; as they come if that is not known. */
export function mostItself(viewable: readonly number[], found: HeadExplanation | null): number[] {
  const first = (found?.viewed ?? []).filter((place) => viewable.includes(place));
  return [...first, ...viewable.filter((place) => !first.includes(place))];
}

/** Return the chosen prompts, else `n` viewable ones and then the first probes; seed 0 takes the first. */
export function choosePrompts(
  chosen: readonly number[],
  viewable: readonly number[],
  n: number,
  seed: number,
  probes: readonly number[] = [],
): number[] {
  if (chosen.length > 0) return [...chosen];
  const taken = seed === 0 ? viewable.slice(0, n) : sample(viewable, n, generator(seed));
  return [...taken, ...probes];
}
