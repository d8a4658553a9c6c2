// Prompts and their tokens. They may hold anything: they are shown as text, never as markup.

import type { Manifest, Model, Prompt, Tokens } from "../contract/generated";
import { json } from "./source";

/** Load all prompts, in the order of the atlas, then the probes. */
export function loadPrompts(manifest: Manifest): Promise<Prompt[]> {
  return json<Prompt[]>(manifest.prompts);
}

/** Return whether it is a probe: a sequence of token ids, which has patterns and no points. */
export function isProbe(prompt: Prompt): boolean {
  return prompt.group === "probes";
}

/** Return the first words of a prompt as a choice in a list; probes are marked. */
export function choiceTitle(prompt: Prompt, line: string): string {
  return isProbe(prompt) ? `Probes: ${line}` : line;
}

/**
 * Return the indices of prompts and probes with patterns in the site.
 *
 * @param where labels that the prompts must have, see `hasLabels`
 */
export function viewablePrompts(prompts: readonly Prompt[], where: readonly string[] = []): number[] {
  return prompts.flatMap((prompt, index) => (prompt.viewable && hasLabels(prompt, where) ? [index] : []));
}

/** Return a label as it is written in links and on the command line, `genre=law`. */
export function labelText(key: string, value: string): string {
  return `${key}=${value}`;
}

/**
 * Return whether a prompt has the chosen labels, as `--where` does: of each label that is named, one
 * of the values. Probes have no labels and always pass.
 */
export function hasLabels(prompt: Prompt, where: readonly string[]): boolean {
  if (where.length === 0 || isProbe(prompt)) return true;
  const allowed = new Map<string, string[]>();
  for (const item of where) {
    const at = item.indexOf("=");
    const key = at < 0 ? item : item.slice(0, at);
    allowed.set(key, [...(allowed.get(key) ?? []), at < 0 ? "" : item.slice(at + 1)]);
  }
  return [...allowed].every(([key, values]) => prompt.labels[key]?.some((value) => values.includes(value)) ?? false);
}

/** A label of some prompts, and how many have each of its values. */
export interface LabelCounts {
  key: string;
  values: { value: string; count: number }[];
}

/** Return the labels of prompts, each with its values from the most frequent one on. */
export function labelCounts(prompts: readonly Prompt[]): LabelCounts[] {
  const counts = new Map<string, Map<string, number>>();
  for (const { labels } of prompts) {
    for (const [key, values] of Object.entries(labels)) {
      const ofKey = counts.get(key) ?? new Map<string, number>();
      for (const value of values) ofKey.set(value, (ofKey.get(value) ?? 0) + 1);
      counts.set(key, ofKey);
    }
  }
  return [...counts].map(([key, ofKey]) => ({
    key,
    values: [...ofKey].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count),
  }));
}

/** Length of a prompt's id in links. */
export const ID_LENGTH = 8;

/** Return the short id of a prompt. */
export function shortId(prompt: Prompt): string {
  return prompt.id.slice(0, ID_LENGTH);
}

/** Return the indices of prompts whose ids begin with the given texts; unknown ones are dropped. */
export function promptsById(prompts: Prompt[], ids: string[]): number[] {
  return ids.flatMap((id) => {
    const index = id.length >= 4 ? prompts.findIndex((prompt) => prompt.id.startsWith(id)) : -1;
    return index < 0 ? [] : [index];
  });
}

/** Load the tokens of one prompt in one model; null if they are not in the site. */
export async function loadTokens(model: Model, prompt: number): Promise<readonly string[] | null> {
  const tokens = await json<Tokens>(model.tokens);
  return tokens.tokens[tokens.prompts.indexOf(prompt)] ?? null;
}
