// Prompts and their tokens. Text and tokens are data of strangers: shown as text, never as markup.

import type { Manifest, Model, Prompt, Tokens } from "../contract/generated";
import { json } from "./source";

/** All prompts, in the order of the atlas. */
export function loadPrompts(manifest: Manifest): Promise<Prompt[]> {
  return json<Prompt[]>(manifest.prompts);
}

/** Indices of the prompts whose patterns are in the site. */
export function viewablePrompts(prompts: Prompt[]): number[] {
  return prompts.flatMap((prompt, index) => (prompt.viewable ? [index] : []));
}

/** Characters of a prompt's id that stand for it in a link. */
export const ID_LENGTH = 8;

/** A prompt's short id, for links. */
export function shortId(prompt: Prompt): string {
  return prompt.id.slice(0, ID_LENGTH);
}

/** Indices of the prompts whose ids begin so; unknown ones are left out. */
export function promptsById(prompts: Prompt[], ids: string[]): number[] {
  return ids.flatMap((id) => {
    const index = id.length >= 4 ? prompts.findIndex((prompt) => prompt.id.startsWith(id)) : -1;
    return index < 0 ? [] : [index];
  });
}

/** Tokens of one prompt in one model, or null if the site does not hold them. */
export async function loadTokens(model: Model, prompt: number): Promise<readonly string[] | null> {
  const tokens = await json<Tokens>(model.tokens);
  return tokens.tokens[tokens.prompts.indexOf(prompt)] ?? null;
}
