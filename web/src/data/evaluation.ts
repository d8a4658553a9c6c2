// The tables of `motifs evaluate` and `motifs ablate`.

import type { Ablations, EvaluationRow, Manifest } from "../contract/generated";
import { json } from "./source";

/** Rows of the evaluation, or null if the atlas was not evaluated. */
export async function loadEvaluation(manifest: Manifest): Promise<EvaluationRow[] | null> {
  return manifest.evaluation === null ? null : json<EvaluationRow[]>(manifest.evaluation);
}

/** Effects of ablating heads, or null if none were measured. */
export async function loadAblations(manifest: Manifest): Promise<Ablations | null> {
  return manifest.ablations === null ? null : json<Ablations>(manifest.ablations);
}
