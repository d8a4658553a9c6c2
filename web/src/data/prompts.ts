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

/** Return the indices of prompts and probes with patterns in the site. */
export function viewablePrompts(prompts: Prompt[]): number[] {
  return prompts.flatMap((prompt, index) => (prompt.viewable ? [index] : []));
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
