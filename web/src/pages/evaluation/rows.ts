// The rows of the evaluation: filters, groups and texts.

import type { EvaluationRow } from "../../contract/generated";

/** Meaning of each statistic. */
export const STATISTICS: Readonly<Record<string, string>> = {
  S5: "Rank correlation of a head's score with the mean over its five nearest heads.",
  MAP: "Mean average precision of the class: the share of class members among the nearest heads. Of a score, the class is the 5 % of heads with the largest values.",
  AUROC: "Chance that a head of the class is nearer than a head outside of it, over all query heads. Random order gives 0.5, perfect order 1.",
  "top-1": "Share of held-out patterns that are nearest to the mean of their own head.",
  "top-5": "Share of held-out patterns whose own head is among the five nearest.",
  "head share": "Share of the embedding's variance between heads.",
  "prompt share": "Share of the embedding's variance between prompts.",
  "residual share": "Share of the variance that is neither between heads nor between prompts.",
  "split-half Spearman": "Rank correlation of the distances from two halves of the prompts, or of their sources.",
  "same nearest head": "Share of heads whose nearest head is the same in both halves.",
  "too few heads": "There are too few heads in one of the models.",
};

/** Titles of the kinds of rows. */
export const KINDS: Readonly<Record<string, string>> = {
  "random tokens": "labels on random tokens",
  "repeated text": "labels on unseen texts said twice",
  "plain text": "labels on unseen texts",
  literature: "classes from the literature",
  score: "behaviour scores of the heads table",
  patterns: "single patterns",
  distances: "distances",
};

/** Filters of the rows; an empty list passes all. */
export interface RowFilters {
  models: readonly string[];
  kinds: readonly string[];
  statistics: readonly string[];
}

/** Return the rows that pass. A pair `A -> B` is a model of that name. */
export function filteredRows<Row extends Pick<EvaluationRow, "model" | "kind" | "statistic">>(
  rows: readonly Row[],
  filters: RowFilters,
): Row[] {
  const has = (list: readonly string[], value: string) => list.length === 0 || list.includes(value);
  return rows.filter(
    (row) => has(filters.models, row.model) && has(filters.kinds, row.kind) && has(filters.statistics, row.statistic),
  );
}

/** Return the different values with their counts, in the order of the table. */
export function choices(values: readonly string[]): { value: string; title: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([value, count]) => ({ value, title: value, count }));
}

/** The rows of several metrics that test the same question. */
export interface Question {
  key: string;
  model: string;
  name: string;
  kind: string;
  statistic: string;
  n_queries: number;
  n_heads: number;
  /** The row of each metric that was evaluated. */
  by: ReadonlyMap<string, EvaluationRow>;
}

/** Group rows by question, in the order of the first rows. */
export function questions(rows: readonly EvaluationRow[]): Question[] {
  const result = new Map<string, Question & { by: Map<string, EvaluationRow> }>();
  for (const row of rows) {
    const key = JSON.stringify([row.model, row.name, row.kind, row.statistic]);
    const known = result.get(key);
    if (known) known.by.set(row.metric, row);
    else {
      const { model, name, kind, statistic, n_queries, n_heads } = row;
      result.set(key, { key, model, name, kind, statistic, n_queries, n_heads, by: new Map([[row.metric, row]]) });
    }
  }
  return [...result.values()];
}

/** Return the axis of each statistic: 0 to 1, or -1 to 1 if a value is negative. */
export function domains(rows: readonly EvaluationRow[]): Map<string, [number, number]> {
  const result = new Map<string, [number, number]>();
  for (const { statistic, value, low, null_mean, null_95 } of rows) {
    const below = [value, low, null_mean, null_95].some((item) => item !== null && item < 0);
    if (below || !result.has(statistic)) result.set(statistic, below ? [-1, 1] : [0, 1]);
  }
  return result;
}

/** Return a statistic with three decimals. */
export function decimals(value: number | null): string {
  return value === null ? "–" : value.toFixed(3).replace(/^-/, "−");
}

/** Return a p or q with two digits. */
export function chance(value: number | null): string {
  return value === null ? "–" : String(Number(value.toPrecision(2)));
}

/** Return the result of a row in words. */
export function verdict(row: Pick<EvaluationRow, "statistic" | "value" | "p" | "q" | "p_floor">): string {
  if (row.statistic === "too few heads") return "not scored";
  if (row.value === null) return "undefined";
  if (row.p === null || row.q === null) return "no test";
  if (row.q <= 0.05) return "better than its layers";
  if (row.p_floor !== null && row.p_floor > 0.05) return "class too small";
  return "not better than its layers";
}

/** Return a number with its sign and two decimals. */
export function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}
