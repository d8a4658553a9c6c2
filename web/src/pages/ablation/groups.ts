// Groups of heads, and sets with their controls.

import type { AblationRow } from "../../data/ablations";
import type { HeadClass, Manifest } from "../../contract/generated";
import { clusterName } from "../../data/clusters";
import { headCount, headName, placeOfRow, type Heads } from "../../data/heads";

/** Heads of one class, cluster, model or layer. */
export interface HeadGroup {
  name: string;
  /** The name that `motifs ablate` gives it. */
  asked: string;
  /** Rows of the atlas. */
  heads: readonly number[];
}

/** Group all heads. Heads without a class or cluster come last. */
export function headGroups(manifest: Manifest, by: string, heads: Heads, classes: readonly HeadClass[]): HeadGroup[] {
  if (by === "class") {
    const named = classes.filter((headClass) => headClass.rows.length > 0).map((item) => ({ name: item.name, asked: item.name, heads: item.rows }));
    const inSome = new Set(named.flatMap((item) => [...item.heads]));
    return [...named, { name: "no class", asked: "", heads: allRows(manifest).filter((row) => !inSome.has(row)) }];
  }
  if (by === "model" || by === "layer") {
    return manifest.models.flatMap((model) => {
      const rows = Array.from({ length: headCount(model) }, (_, i) => model.first_row + i);
      if (by === "model") return [{ name: model.name, asked: model.name, heads: rows }];
      return model.layers.map((layer) => ({
        name: `${model.name}:L${layer}`,
        asked: "",
        heads: rows.filter((row) => placeOfRow(model, row).layer === layer),
      }));
    });
  }
  return clusterGroups(manifest, heads, by);
}

function clusterGroups(manifest: Manifest, heads: Heads, method: string): HeadGroup[] {
  const stored = heads.column(`cluster ${method}`);
  const clustering = manifest.clusterings.find((clustering) => clustering.method === method);
  if (!stored || !clustering) return [];
  const groups = new Map<number, number[]>();
  for (let row = 0; row < heads.n; row++) {
    const code = stored.values[row] as number;
    // The largest code of a column is "none".
    const cluster = code === 0xffff || code < 0 ? UNCLUSTERED : code;
    const rows = groups.get(cluster);
    if (rows) rows.push(row);
    else groups.set(cluster, [row]);
  }
  return [...groups]
    .sort(([a], [b]) => a - b)
    .map(([cluster, rows]) => ({
      name: clusterName(clustering, cluster === UNCLUSTERED ? -1 : cluster),
      asked: cluster === UNCLUSTERED ? "" : `cluster ${cluster} (${method})`,
      heads: rows,
    }));
}

/** A number that sorts last. */
const UNCLUSTERED = Number.POSITIVE_INFINITY;

function allRows(manifest: Manifest): number[] {
  return Array.from({ length: manifest.n_heads }, (_, row) => row);
}

/** Effects of ablating single heads, by head name. */
export function effectsByHead(rows: readonly AblationRow[]): Map<string, AblationRow> {
  return new Map(rows.filter((row) => row.kind === "head" && row.effect !== null).map((row) => [row.name, row]));
}

/** A group with the rows of its heads that were ablated, of one model. */
export interface MeasuredGroup {
  name: string;
  model: string;
  rows: AblationRow[];
  /** Mean over the group, tested against controls, where the table has it. */
  tested: AblationRow | null;
}

/**
 * Return the groups with the effects of their heads, one per model, since controls are drawn within a
 * model. Groups without an ablated head are left out.
 */
export function measuredGroups(manifest: Manifest, groups: readonly HeadGroup[], rows: readonly AblationRow[]): MeasuredGroup[] {
  const effects = effectsByHead(rows);
  return groups.flatMap(({ name, asked, heads }) => {
    const ablated = heads.flatMap((row) => effects.get(headName(manifest, row)) ?? []);
    return manifest.models.flatMap(({ name: model }) => {
      const ofModel = ablated.filter((row) => row.model === model);
      const tested = rows.find((row) => row.kind === "group" && asked !== "" && row.name === asked && row.model === model) ?? null;
      return ofModel.length === 0 ? [] : [{ name, model, rows: ofModel, tested }];
    });
  });
}

/** Return the groups that the table tests, with the rows of their heads. */
export function testedGroups(rows: readonly AblationRow[]): MeasuredGroup[] {
  const effects = effectsByHead(rows);
  return rows
    .filter((row) => row.kind === "group")
    .map((tested) => ({
      name: tested.name,
      model: tested.model,
      rows: tested.heads.flatMap((head) => effects.get(head) ?? []),
      tested,
    }));
}

/** A set of heads that were ablated together, with its controls. */
export interface SetWithControls {
  set: AblationRow;
  controls: AblationRow[];
}

/** Return the sets, each with the controls of its experiment, model and name. */
export function setsWithControls(rows: readonly AblationRow[]): SetWithControls[] {
  const key = (row: AblationRow) => JSON.stringify([row.experiment, row.model, row.name]);
  const controls = new Map<string, AblationRow[]>();
  for (const row of rows) {
    if (row.kind !== "control") continue;
    const list = controls.get(key(row));
    if (list) list.push(row);
    else controls.set(key(row), [row]);
  }
  return rows.filter((row) => row.kind === "set").map((set) => ({ set, controls: controls.get(key(set)) ?? [] }));
}

/** Return the heads whose distances were compared with effects, each once. */
export function testedAnchors(rows: readonly AblationRow[]): string[] {
  return [...new Set(rows.filter((row) => row.kind === "distance" && row.anchor !== "").map((row) => row.anchor))];
}

/** Return the first anchor of the scatter: the head with the largest effect, among those tested if any were. */
export function firstAnchor(rows: readonly AblationRow[]): string {
  const tested = new Set(testedAnchors(rows));
  let best: AblationRow | null = null;
  for (const row of rows) {
    if (row.kind !== "head" || row.effect === null || (tested.size > 0 && !tested.has(row.name))) continue;
    if (best === null || Math.abs(row.effect) > Math.abs(best.effect as number)) best = row;
  }
  return best?.name ?? [...tested][0] ?? "";
}
