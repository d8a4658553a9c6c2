// The table of `motifs ablate`, row by row. The documentation of ablations describes the columns.

import type { Ablations, Manifest } from "../contract/generated";
import { loadAblations } from "./evaluation";
import { DataError, once } from "./source";

/** Kind of a row. */
export type AblationKind = "head" | "set" | "control" | "group" | "distance";

/** One measurement or test. Numbers that were not measured are null. */
export interface AblationRow {
  /** Place in the table. */
  place: number;
  /** `sweep`, or the heads that were requested. */
  experiment: string;
  kind: AblationKind;
  model: string;
  /** The head, the set of heads, or the anchor. */
  name: string;
  heads: readonly string[];
  n_heads: number | null;
  method: string;
  /** What replaced the outputs, in words; empty in tables of older versions. */
  reference: string;
  measure: string;
  design: string;
  /** Metric of the distances; empty for other kinds. */
  metric: string;
  anchor: string;
  clean: number | null;
  ablated: number | null;
  /** Ablated minus clean; for `distance`, Spearman's rho. */
  effect: number | null;
  ci_low: number | null;
  ci_high: number | null;
  control_effect: number | null;
  control_low: number | null;
  control_high: number | null;
  excess: number | null;
  excess_low: number | null;
  excess_high: number | null;
  /** Mean effect without target heads: of other heads of the same layers, or of sets without them. */
  others_effect: number | null;
  others_excess: number | null;
  standardised: number | null;
  p: number | null;
  /** The kind of question that p answers; q corrects within it. Empty in tables of older versions. */
  family: string;
  q: number | null;
  n_tested: number | null;
  p_floor: number | null;
  test: string;
  n_controls: number | null;
  n_sequences: number | null;
  n_positions: number | null;
}

const TEXTS = ["experiment", "kind", "model", "name", "method", "measure", "design", "metric", "anchor", "test", "reference", "family"] as const;
const NUMBERS = [
  "n_heads",
  "clean",
  "ablated",
  "effect",
  "ci_low",
  "ci_high",
  "control_effect",
  "control_low",
  "control_high",
  "excess",
  "excess_low",
  "excess_high",
  "others_effect",
  "others_excess",
  "standardised",
  "p",
  "q",
  "n_tested",
  "p_floor",
  "n_controls",
  "n_sequences",
  "n_positions",
] as const;

/** Load all rows; null if nothing was ablated. */
export function loadAblationRows(manifest: Manifest): Promise<AblationRow[] | null> {
  return once("ablation rows", async () => {
    const table = await loadAblations(manifest);
    return table === null ? null : ablationRows(table, manifest.ablations ?? "");
  });
}

/** Convert columns to rows. A missing column is an error that names it. */
export function ablationRows(table: Ablations, file = "ablations"): AblationRow[] {
  const columns = table.columns as Readonly<Record<string, readonly unknown[]>>;
  const needed = (name: string): readonly unknown[] => {
    const column = columns[name];
    if (!column) throw new DataError(file, `has no column ${name}`, "run `motifs ablate`, then `motifs site` again");
    return column;
  };
  const texts = TEXTS.map((name) => [name, needed(name)] as const);
  const numbers = NUMBERS.map((name) => [name, needed(name)] as const);
  const heads = needed("heads");
  return needed("kind").map((_, place) => {
    const row: Record<string, unknown> = { place, heads: Array.isArray(heads[place]) ? heads[place] : [] };
    for (const [name, column] of texts) row[name] = typeof column[place] === "string" ? column[place] : "";
    for (const [name, column] of numbers) row[name] = typeof column[place] === "number" ? column[place] : null;
    return row as unknown as AblationRow;
  });
}

/** Return measure and design as one text for links: `loss, repeated`. */
export function measureId(row: Pick<AblationRow, "measure" | "design">): string {
  return `${row.measure}, ${row.design}`;
}

/** Return the rows in which a head was ablated on its own, in a sweep or in a run on this head. */
export function rowsOfHead(rows: readonly AblationRow[], head: string): AblationRow[] {
  return rows.filter(
    (row) =>
      (row.kind === "head" && row.name === head) ||
      (row.kind === "set" && row.heads.length === 1 && row.heads[0] === head),
  );
}

/** Return what replaced the outputs, in words. */
export function referenceOf(row: Pick<AblationRow, "reference" | "method">): string {
  return row.reference === "" ? row.method : row.reference;
}

/** Effects of one target by every method, in the order of the first row of each. */
export interface ByMethod {
  target: AblationRow;
  /** One row per name in `references`; null if not measured. */
  effects: (AblationRow | null)[];
}

/** Arrange the rows of one measure by target and by what replaced the outputs. */
export function byMethod(rows: readonly AblationRow[]): { references: string[]; targets: ByMethod[] } {
  const references = [...new Set(rows.map(referenceOf))];
  const targets = new Map<string, ByMethod>();
  for (const row of rows) {
    const key = JSON.stringify([row.kind, row.model, row.name]);
    const effectsOf = targets.get(key) ?? { target: row, effects: references.map(() => null) };
    effectsOf.effects[references.indexOf(referenceOf(row))] = row;
    targets.set(key, effectsOf);
  }
  return { references, targets: [...targets.values()] };
}
