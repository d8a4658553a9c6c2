// Help for a name that is not a head of the atlas.

import type { Manifest, Model } from "../../contract/generated";
import { composed, isolated } from "../../data/composed";
import { layersText, parseHead, rowsEnd } from "../../data/heads";

/** Say why a name is not a head of the atlas. */
export function reason(manifest: Manifest, text: string): string {
  const name = parseHead(text);
  if (!name) return "Write a head as model:L5:H3.";
  const model = manifest.models.find((model) => model.name === name.model);
  if (!model) return `The atlas holds ${manifest.models.map((model) => isolated(model.name)).join(", ")}.`;
  return composed`${model.name} has layers ${layersText(model)} with heads 0 to ${model.n_heads - 1}.`;
}

/** Return the row of the model's head with the largest finite value; null if there is none. */
export function highestRow(values: ArrayLike<number>, model: Model): number | null {
  let best: number | null = null;
  for (let row = model.first_row; row < rowsEnd(model); row++) {
    const value = values[row] ?? Number.NaN;
    if (Number.isFinite(value) && (best === null || value > (values[best] as number))) best = row;
  }
  return best;
}
