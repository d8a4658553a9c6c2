// Titles of measures, and ranks of effects.

import { measureId, type AblationRow } from "../../data/ablations";
import { extent, figure } from "../chart/scale";

const MEASURES: Readonly<Record<string, { title: string; unit: string; worse: "up" | "down"; meaning: string }>> = {
  loss: { title: "loss", unit: "nats", worse: "up", meaning: "next-token loss" },
  kl: {
    title: "divergence from the clean prediction",
    unit: "nats",
    worse: "up",
    meaning: "Kullback-Leibler divergence of the prediction from the clean one; 0 without ablation",
  },
  "prefix matching": {
    title: "prefix matching",
    unit: "",
    worse: "down",
    meaning: "attention that induction heads of later layers pay to the tokens after earlier occurrences of this one",
  },
  "prefix matching (literal)": {
    title: "prefix matching (literal)",
    unit: "",
    worse: "down",
    meaning: "attention that induction heads of later layers pay to the tokens before earlier occurrences of this one",
  },
  "in-context learning": {
    title: "in-context learning",
    unit: "nats",
    worse: "up",
    meaning: "mean loss over tokens 450 to 550 less mean loss over tokens 40 to 60",
  },
};

const DESIGNS: Readonly<Record<string, string>> = {
  prompts: "the atlas's prompts",
  repeated: "repeated random tokens",
  long: "long texts",
};

type Measured = Pick<AblationRow, "measure" | "design">;

/** "loss on repeated random tokens". */
export function measureTitle({ measure, design }: Measured): string {
  return `${MEASURES[measure]?.title ?? measure} on ${DESIGNS[design] ?? design}`;
}

/** "change of loss, nats". */
export function effectTitle({ measure }: Measured): string {
  const known = MEASURES[measure];
  return `change of ${known?.title ?? measure}${known?.unit ? `, ${known.unit}` : ""}`;
}

/** Describe a measure, and which direction is worse for the model. */
export function measureMeaning({ measure }: Measured): string {
  const known = MEASURES[measure];
  return known ? `${known.meaning.charAt(0).toUpperCase()}${known.meaning.slice(1)}. It goes ${known.worse} when the model gets worse.` : "";
}

/** Format an effect with its interval. */
export function effectInWords(row: Pick<AblationRow, "effect" | "ci_low" | "ci_high">): string {
  const { effect, ci_low: low, ci_high: high } = row;
  return low === null || high === null
    ? figure(effect)
    : `${figure(effect)} (95 %: ${figure(low)} to ${figure(high)})`;
}

/** Return the ends of an axis for effects, intervals and controls; it includes 0. */
export function effectDomain(rows: readonly AblationRow[]): [number, number] {
  const all = rows.flatMap((row) => [row.effect, row.ci_low, row.ci_high, row.control_low, row.control_high]);
  return extent([...all, 0]);
}

/** Return the rank of an effect by size among the heads of its model, 1 = largest; null for other rows. */
export function effectRank(rows: readonly AblationRow[], target: AblationRow): { rank: number; of: number } | null {
  if (target.kind !== "head" || target.effect === null) return null;
  const size = Math.abs(target.effect);
  const peers = rows.filter(
    (row) =>
      row.kind === "head" &&
      row.effect !== null &&
      row.model === target.model &&
      row.method === target.method &&
      measureId(row) === measureId(target),
  );
  return { rank: 1 + peers.filter((row) => Math.abs(row.effect as number) > size).length, of: peers.length };
}
