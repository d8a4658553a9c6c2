// The selection of points: in the link if it fits, else in memory.

import { useMemo } from "preact/hooks";
import { signal } from "@preact/signals";
import type { SelectHow } from "../../views/points-3d/api";
import { merge } from "../../views/points-3d/select";
import { picked } from "./params";
import { countOf, readPicked, writePicked } from "./picked";

/** In the link of a selection that does not fit. */
const LARGE = "large";

const large = signal<{ n: number; mask: Uint8Array } | null>(null);

export interface Selection {
  mask: Uint8Array | null;
  count: number;
  /** Whether the link holds it. */
  linked: boolean;
  change: (points: Uint32Array, how: SelectHow) => void;
}

/** Return the selection among n points. */
export function useSelection(n: number): Selection {
  const text = picked.value;
  const kept = large.value;
  const mask = useMemo(() => {
    if (text === LARGE) return kept?.n === n ? kept.mask : null;
    return readPicked(text, n);
  }, [text, kept, n]);
  const count = useMemo(() => (mask ? countOf(mask) : 0), [mask]);
  const change = (points: Uint32Array, how: SelectHow) => {
    const next = merge(mask, points, how, n);
    const written = writePicked(next);
    large.value = written === null && next ? { n, mask: next } : null;
    picked.set(written ?? LARGE);
  };
  return { mask, count, linked: text !== LARGE, change };
}
