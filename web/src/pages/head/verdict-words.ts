// Sentences about a verdict.

import type { HeadExplanation, Manifest } from "../../contract/generated";
import { measuredClasses, UNKNOWN, type Labels } from "../../data/explanations";

/** Return the verdict in one line. */
export function verdictLine({ verdict, probability }: HeadExplanation): string {
  if (probability === null) return "No verdict: no other model of this atlas has labelled heads";
  if (verdict === UNKNOWN) return `No known class, probability ${probability.toFixed(2)}`;
  const sure = probability >= 0.8 ? "Probably" : "Perhaps";
  return `${sure} ${article(verdict)} ${verdict} head, probability ${probability.toFixed(2)}`;
}

/** Return what the head attends to, and the classes that were measured. */
export function verdictSentence(manifest: Manifest, found: HeadExplanation, labels: Labels, row: number): string {
  const measured = measuredClasses(manifest, labels.measured, row);
  return measured.length === 0 ? found.sentence : `${found.sentence} Measured on repeated random tokens: ${measured.join(", ")}.`;
}

function article(word: string): string {
  return /^[aeiou]/i.test(word) ? "an" : "a";
}

/** Return what the null percentile means for this head; empty without one. */
export function chanceText({ verdict, null_percentile }: HeadExplanation): string {
  if (null_percentile === null) return "";
  const percent = null_percentile > 99 ? "more than 99" : null_percentile.toFixed(0);
  return (
    `Its nearest labelled heads are ${verdict} heads more often than in ${percent} % of draws that deal ` +
    `the labels at random within each layer (chance: 50 %).`
  );
}
