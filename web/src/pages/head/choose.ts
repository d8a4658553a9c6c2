// Which heads and prompts the page shows. Pure: the same link always shows the same.

import { generator, sample } from "../../state/random";

/** A head beside the one that is viewed. */
export interface Shown {
  row: number;
  distance: number;
  /** Place among all other heads, 1 = nearest; 0 where it has none. */
  rank: number;
}

/** Rows of each kind, none twice but the same-class ones. */
export interface Chosen {
  near: Shown[];
  far: Shown[];
  same: Shown[];
  random: Shown[];
}

export interface Wanted {
  /** Heads in order of distance. */
  order: readonly number[];
  distances: Float32Array;
  ranks: Uint32Array;
  /** 1 for heads that pass the filters. */
  passes: Uint8Array;
  /** Heads that share a class with the ones viewed. */
  mates: ReadonlySet<number>;
  counts: { near: number; far: number; same: number; random: number };
  seed: number;
}

/** Choose rows. Farthest ones come farthest first; random and same-class ones by distance. */
export function chooseRows(request: Wanted): Chosen {
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
    // Another stream than the one that chooses class mates.
    generator(seed + 1_000_003),
  );
  return {
    near: shown(near),
    far: shown(far),
    same: shown(byDistance(same)),
    random: shown(byDistance(random)),
  };
}

/** Prompts to show: those chosen, else `n` of the viewable ones; seed 0 takes the first ones. */
export function choosePrompts(
  chosen: readonly number[],
  viewable: readonly number[],
  n: number,
  seed: number,
): number[] {
  if (chosen.length > 0) return [...chosen];
  return seed === 0 ? viewable.slice(0, n) : sample(viewable, n, generator(seed));
}
