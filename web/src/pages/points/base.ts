// Data that both pages of points load first.

import type { HeadClass, Manifest, Prompt } from "../../contract/generated";
import { loadClasses, loadClassesByHead, rowsOfClasses, type TaggedClass } from "../../data/classes";
import { loadHeads, passing, type Heads } from "../../data/heads";
import { isProbe, loadPrompts } from "../../data/prompts";

export interface Base {
  heads: Heads;
  prompts: Prompt[];
  classes: HeadClass[];
  byHead: Map<number, TaggedClass[]>;
}

export async function loadBase(manifest: Manifest): Promise<Base> {
  const [heads, all, classes, byHead] = await Promise.all([
    loadHeads(manifest),
    loadPrompts(manifest),
    loadClasses(manifest),
    loadClassesByHead(manifest),
  ]);
  return { heads, prompts: all.filter((prompt) => !isProbe(prompt)), classes, byHead };
}

/** Return 1 for each head that passes the filters; null without a filter. */
export function filteredHeads(
  manifest: Manifest,
  base: Base,
  filter: { models: string[]; layers: [number, number] | null; classes: string[] },
): Uint8Array | null {
  if (filter.models.length === 0 && !filter.layers && filter.classes.length === 0) return null;
  return passing(manifest, {
    models: filter.models,
    layers: filter.layers,
    rows: rowsOfClasses(base.classes, filter.classes),
  });
}

/** Combine two masks by "and"; null passes all. */
export function both(a: Uint8Array | null, b: Uint8Array | null): Uint8Array | null {
  if (!a || !b) return a ?? b;
  return a.map((passes, i) => passes & (b[i] as number));
}

/** Return 1 for each pattern on a prompt that passes. */
export function perPrompt(
  prompts: readonly Prompt[],
  nHeads: number,
  passes: (prompt: Prompt) => boolean,
): Uint8Array {
  const all = new Uint8Array(prompts.length * nHeads);
  prompts.forEach((prompt, i) => passes(prompt) && all.fill(1, i * nHeads, (i + 1) * nHeads));
  return all;
}

/** Repeat a mask of heads for all prompts. */
export function perPattern(mask: Uint8Array | null, nPrompts: number): Uint8Array | null {
  if (!mask) return null;
  const all = new Uint8Array(mask.length * nPrompts);
  for (let i = 0; i < nPrompts; i++) all.set(mask, i * mask.length);
  return all;
}
