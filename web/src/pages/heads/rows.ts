// Rows and columns of the table of heads.

import type { Values } from "../../contract/columns";
import type { Manifest } from "../../contract/generated";
import { labelText, type Labels } from "../../data/explanations";
import { headName, modelOfRow, type Heads } from "../../data/heads";
import type { TableColumn } from "../../views/table/api";

/** A head in the table. */
export interface HeadRow {
  row: number;
  head: string;
  model: string;
  layer: number;
  known: string;
  verdict: string;
  probability: number | null;
  /** Share of each motif, in the order of the manifest. */
  shares: (number | null)[];
  /** Value of each score, in the order of the manifest. */
  scores: (number | null)[];
}

/** Return the rows of all heads. */
export function headRows(manifest: Manifest, heads: Heads, labels: Labels, shares: readonly Values[]): HeadRow[] {
  const { verdicts } = labels;
  const scores = manifest.scores.map((score) => heads.column(score.name)?.values);
  return Array.from({ length: manifest.n_heads }, (_, row) => ({
    row,
    head: headName(manifest, row),
    model: modelOfRow(manifest, row).name,
    layer: heads.layer[row] ?? 0,
    known: labelText(manifest, { ...labels, verdicts: null }, row),
    verdict: verdicts?.verdict(row) ?? "",
    probability: finite(verdicts?.probability[row]),
    shares: shares.map((values) => finite(values[row])),
    scores: scores.map((values) => finite(values?.[row])),
  }));
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

/** Filters of the table. */
export interface RowFilter {
  /** Models; empty is all. */
  models: readonly string[];
  /** Verdicts; empty is all. */
  verdicts: readonly string[];
  /** Place of the motif in the manifest; -1 is none. */
  motif: number;
  /** Least share of this motif, 0 to 1. */
  least: number;
}

/** Return the rows that pass all filters. */
export function filterRows(rows: readonly HeadRow[], filter: RowFilter): HeadRow[] {
  return rows.filter(
    (row) =>
      (filter.models.length === 0 || filter.models.includes(row.model)) &&
      (filter.verdicts.length === 0 || filter.verdicts.includes(row.verdict)) &&
      (filter.motif < 0 || (row.shares[filter.motif] ?? -1) >= filter.least),
  );
}

/** Return the columns of numbers: probability, motif shares in percent, scores. */
export function numberColumns(manifest: Manifest): TableColumn<HeadRow>[] {
  const numeric = (
    name: string,
    title: string,
    help: string,
    value: (row: HeadRow) => number | null,
    show: (value: number) => string,
  ): TableColumn<HeadRow> => ({
    name,
    title,
    help,
    numeric: true,
    value,
    cell: (row) => {
      const number = value(row);
      return number === null ? "–" : show(number);
    },
  });
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  return [
    numeric("probability", "Probability", "probability of the verdict, learnt from other models", (row) => row.probability, (p) => p.toFixed(2)),
    ...manifest.motifs.map((motif, place) =>
      numeric(`${motif.name} share`, motif.name, `${motif.meaning}: mean share over the prompts`, (row) => row.shares[place] ?? null, percent),
    ),
    ...manifest.scores.map((score, place) =>
      numeric(`${score.name} score`, `${score.name} score`, score.meaning, (row) => row.scores[place] ?? null, (value) => value.toFixed(2)),
    ),
  ];
}
