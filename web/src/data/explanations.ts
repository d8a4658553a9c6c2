// Explanations of heads: verdicts, motif shares, and the evidence.

import { decodeColumn, findColumn, labelOf, type Values } from "../contract/columns";
import type { HeadExplanation, Manifest, Table } from "../contract/generated";
import { classesByHead, loadClasses, loadTags, type TaggedClass } from "./classes";
import { modelOfRow, placeOfRow } from "./heads";
import { loadMeasured, type MeasuredScores } from "./scores";
import { bytes, DataError, json, once } from "./source";

/** The verdict on a head that is probably in no class. */
export const UNKNOWN = "unknown";

/** Load the explanation of a head; null if the atlas holds no motif shares. */
export async function loadExplanation(manifest: Manifest, row: number): Promise<HeadExplanation | null> {
  const model = modelOfRow(manifest, row);
  const { layer, index } = placeOfRow(model, row);
  const file = model.explanations[model.layers.indexOf(layer)];
  if (file === undefined) return null;
  const found = (await json<HeadExplanation[]>(file))[index];
  if (!found) throw new DataError(file, `has no head ${index}`);
  return found;
}

/** Verdicts on all heads. */
export interface Verdicts {
  /** Return the most probable class, or `unknown`. */
  verdict(row: number): string;
  /** Probabilities; NaN if no other model has labelled heads. */
  probability: Values;
}

/** Load the verdicts on all heads; null if the atlas holds no motif shares. */
export function loadVerdicts(manifest: Manifest): Promise<Verdicts | null> {
  return once("verdicts", async () => {
    const table = manifest.verdicts;
    if (!table) return null;
    const columns = await loadColumns(table, ["verdict", "probability"]);
    const names = findColumn(table, "verdict");
    const [codes, probability] = columns as [Values, Values];
    return {
      verdict: (row) => (names && labelOf(names, codes[row] ?? Number.NaN)) ?? UNKNOWN,
      probability,
    };
  });
}

/** Load the mean share of each motif of all heads, in the order of the manifest; empty without shares. */
export function loadMotifShares(manifest: Manifest): Promise<Values[]> {
  return once("motif shares", async () => {
    const table = manifest.motif_shares;
    return table ? loadColumns(table, manifest.motifs.map((motif) => motif.name)) : [];
  });
}

async function loadColumns(table: Table, names: readonly string[]): Promise<Values[]> {
  const buffer = await bytes(table.file);
  return names.map((name) => {
    const column = findColumn(table, name);
    if (!column) throw new DataError(table.file, `has no column ${name}`);
    return decodeColumn(buffer, column);
  });
}

/** What is known of every head, for the places that name it. */
export interface Labels {
  measured: MeasuredScores;
  byHead: ReadonlyMap<number, TaggedClass[]>;
  verdicts: Verdicts | null;
}

/** Load measured scores, classes and verdicts of all heads. */
export function loadLabels(manifest: Manifest): Promise<Labels> {
  return once("labels", async () => {
    const [measured, classes, tags, verdicts] = await Promise.all([
      loadMeasured(manifest),
      loadClasses(manifest),
      loadTags(manifest),
      loadVerdicts(manifest),
    ]);
    return { measured, byHead: classesByHead(classes, tags), verdicts };
  });
}

/** Classes with a score above their threshold, as `induction 0.92`, highest first. */
export function measuredClasses(manifest: Manifest, measured: MeasuredScores, row: number): string[] {
  const reached = manifest.scores.flatMap(({ name, threshold }) => {
    const value = measured.get(name)?.[row] ?? Number.NaN;
    return threshold !== null && value >= threshold ? [{ name, value }] : [];
  });
  reached.sort((a, b) => b.value - a.value);
  return reached.map(({ name, value }) => `${name} ${value.toFixed(2)}`);
}

/**
 * Return what is known of a head in a few words: measured classes with scores and classes of the
 * literature; else the verdict with its probability; empty if there is neither.
 */
export function labelText(manifest: Manifest, labels: Labels, row: number): string {
  const published = (labels.byHead.get(row) ?? [])
    .filter((item) => item.class.kind === "literature")
    .map((item) => item.class.name);
  const known = [...measuredClasses(manifest, labels.measured, row), ...new Set(published)];
  if (known.length > 2) return `${known.slice(0, 2).join(", ")} and ${known.length - 2} more`;
  if (known.length > 0) return known.join(", ");
  return labels.verdicts ? verdictText(labels.verdicts, row) : "";
}

/** Return the verdict with its probability, as `probably induction (0.87)`; empty if none was learnt. */
export function verdictText(verdicts: Verdicts, row: number): string {
  const [verdict, p] = [verdicts.verdict(row), verdicts.probability[row] ?? Number.NaN];
  if (!Number.isFinite(p)) return "";
  if (verdict === UNKNOWN) return "class unknown";
  return `${p >= 0.8 ? "probably" : "perhaps"} ${verdict} (${p.toFixed(2)})`;
}
