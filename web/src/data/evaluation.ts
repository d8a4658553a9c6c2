// The tables of `motifs evaluate` and `motifs ablate`.

import type { Ablations, Evaluation, Manifest } from "../contract/generated";
import { json } from "./source";

/** Load the evaluation; null if the atlas was not evaluated. */
export async function loadEvaluation(manifest: Manifest): Promise<Evaluation | null> {
  return manifest.evaluation === null ? null : json<Evaluation>(manifest.evaluation);
}

/** Load the table of ablations; null if nothing was ablated. */
export async function loadAblations(manifest: Manifest): Promise<Ablations | null> {
  return manifest.ablations === null ? null : json<Ablations>(manifest.ablations);
}
