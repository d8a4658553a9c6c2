// The rows of the evaluation, apart from how they look.

import type { EvaluationRow } from "../../contract/generated";

/** What each statistic says. */
export const STATISTICS: Readonly<Record<string, string>> = {
  AUROC: "Chance that a head of the class is nearer than one that is not, over all heads that ask. Random order gives 0.5, perfect order 1.",
  MAP: "Mean average precision: how pure the top of the ranking is. Random order gives about the share of the class among the heads.",
  "purity@5": "Share of the class among the five nearest. It cannot exceed the size of the class less one, over five.",
  "Spearman@5": "Rank correlation of a behaviour score with its mean over the five nearest heads.",
  "top-1": "Share of single patterns, left out of the means, that are nearest to their own head.",
  "top-5": "Share of single patterns, left out of the means, whose own head is among the five nearest.",
  "head share": "Share of the variance of the embedding that is between heads.",
  "prompt share": "Share of the variance of the embedding that is between prompts.",
  "residual share": "Share of the variance that is neither: noise, and what a head does on one prompt only.",
  "split-half Spearman": "Rank correlation of the distances from two random halves of the prompts.",
  "too few heads": "The class is too small in one of the models to be scored: three heads are needed, unless told otherwise.",
};

/** What each kind of row asks. */
export const KINDS: Readonly<Record<string, string>> = {
  literature: "classes from the literature",
  computed: "classes computed from behaviour",
  score: "behaviour scores",
  patterns: "single patterns",
  distances: "distances",
};

/** Which rows are wanted; empty lists are all. */
export interface Wanted {
  models: readonly string[];
  kinds: readonly string[];
  statistics: readonly string[];
}

/** Rows that are wanted. A pair `A -> B` is chosen by that name, as a model is by its own. */
export function wantedRows<Row extends Pick<EvaluationRow, "model" | "kind" | "statistic">>(
  rows: readonly Row[],
  wanted: Wanted,
): Row[] {
  const has = (list: readonly string[], value: string) => list.length === 0 || list.includes(value);
  return rows.filter(
    (row) => has(wanted.models, row.model) && has(wanted.kinds, row.kind) && has(wanted.statistics, row.statistic),
  );
}

/** Values with how many rows have them, in the order of the table. */
export function choices(values: readonly string[]): { value: string; title: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([value, count]) => ({ value, title: value, count }));
}

/** The same question put to several metrics. */
export interface Question {
  key: string;
  model: string;
  name: string;
  kind: string;
  statistic: string;
  n_queries: number;
  n_heads: number;
  /** The metric's row; not there where it was not asked. */
  by: ReadonlyMap<string, EvaluationRow>;
}

/** Rows by question, in the order of their first row. */
export function questions(rows: readonly EvaluationRow[]): Question[] {
  const found = new Map<string, Question & { by: Map<string, EvaluationRow> }>();
  for (const row of rows) {
    const key = JSON.stringify([row.model, row.name, row.kind, row.statistic]);
    const known = found.get(key);
    if (known) known.by.set(row.metric, row);
    else {
      const { model, name, kind, statistic, n_queries, n_heads } = row;
      found.set(key, { key, model, name, kind, statistic, n_queries, n_heads, by: new Map([[row.metric, row]]) });
    }
  }
  return [...found.values()];
}

/** Ends of the axis on which rows of a statistic are drawn: 0 to 1, or -1 to 1 if one is below 0. */
export function domains(rows: readonly EvaluationRow[]): Map<string, [number, number]> {
  const found = new Map<string, [number, number]>();
  for (const { statistic, value, null_mean, null_95 } of rows) {
    const below = [value, null_mean, null_95].some((item) => item !== null && item < 0);
    if (below || !found.has(statistic)) found.set(statistic, below ? [-1, 1] : [0, 1]);
  }
  return found;
}

/** A statistic, which is between -1 and 1, with as many decimals as its neighbours in a column. */
export function decimals(value: number | null): string {
  return value === null ? "–" : value.toFixed(3).replace(/^-/, "−");
}

/** A p or q in two figures, and no zeros behind them. */
export function chance(value: number | null): string {
  return value === null ? "–" : String(Number(value.toPrecision(2)));
}

/** What a row comes to, in words. */
export function verdict(row: Pick<EvaluationRow, "statistic" | "value" | "p" | "q" | "p_floor">): string {
  if (row.statistic === "too few heads") return "not scored";
  if (row.value === null) return "undefined";
  if (row.p === null || row.q === null) return "no test";
  if (row.q <= 0.05) return "beyond its layers";
  if (row.p_floor !== null && row.p_floor > 0.05) return "too small to tell";
  return "not beyond its layers";
}
