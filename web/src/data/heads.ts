// The heads of the atlas: names, rows, scores, clusters.

import { decodeColumn, findColumn, labelOf, type Values } from "../contract/columns";
import type { Column, Manifest, Model } from "../contract/generated";
import { bytes, DataError, once } from "./source";

/** The parts of a head's name. */
export interface HeadName {
  model: string;
  layer: number;
  index: number;
}

// As in Python's `HeadId`: the last layer and index belong to the head.
const HEAD = /^(.+?)[:~.]L(\d{1,5})[:~.]?H(\d{1,5})$/;

/** Parse `model:L5:H3`, `model:L5H3`, `model~L5~H3` or `model.L5.H3`; null for other text. */
export function parseHead(text: string): HeadName | null {
  const match = HEAD.exec(text.trim());
  if (!match) return null;
  return { model: match[1] as string, layer: Number(match[2]), index: Number(match[3]) };
}

/** Return the names of all heads, in the order of the atlas. */
export function headNames(manifest: Manifest): string[] {
  return manifest.models.flatMap((model) =>
    model.layers.flatMap((layer) => Array.from({ length: model.n_heads }, (_, index) => `${model.name}:L${layer}:H${index}`)),
  );
}

/** Return the model of a row. The rows of a model are contiguous. */
export function modelOfRow(manifest: Manifest, row: number): Model {
  const model = manifest.models.find((model) => row >= model.first_row && row < rowsEnd(model));
  if (!model) throw new RangeError(`row ${row}: the atlas holds ${manifest.n_heads} heads`);
  return model;
}

/** Return the number of heads of a model in the atlas. */
export function headCount(model: Model): number {
  return model.layers.length * model.n_heads;
}

/** Return the row after the last head of a model. */
export function rowsEnd(model: Model): number {
  return model.first_row + headCount(model);
}

/** Return the row of a head of a model; the layer must be one of `model.layers`. */
export function rowAt(model: Model, layer: number, index: number): number {
  return model.first_row + model.layers.indexOf(layer) * model.n_heads + index;
}

/** Return the layers of a model in words: `0 to 29`, or the list of those in the atlas. */
export function layersText(model: Model): string {
  const last = model.layers[model.layers.length - 1] ?? 0;
  return last === model.layers.length - 1 ? `0 to ${last}` : model.layers.join(", ");
}

/** Return the numbers of layers and heads: `30 × 9`, or `4 of 16 × 8` for a hybrid. */
export function sizeText(model: Model): string {
  const layers = model.layers.length === model.n_layers ? "" : `${model.layers.length} of `;
  return `${layers}${model.n_layers} × ${model.n_heads}`;
}

/** Return layer and index of a row. */
export function placeOfRow(model: Model, row: number): { layer: number; index: number } {
  const within = row - model.first_row;
  return { layer: model.layers[Math.floor(within / model.n_heads)] ?? 0, index: within % model.n_heads };
}

/** Return the name of a row's head, `model:L5:H3`. */
export function headName(manifest: Manifest, row: number): string {
  const model = modelOfRow(manifest, row);
  const { layer, index } = placeOfRow(model, row);
  return `${model.name}:L${layer}:H${index}`;
}

/** Return the row of a head in any of the spellings; null if it is not in the atlas. */
export function headRow(manifest: Manifest, text: string): number | null {
  const name = parseHead(text);
  const model = name && manifest.models.find((model) => model.name === name.model);
  if (!name || !model || !model.layers.includes(name.layer) || name.index >= model.n_heads) return null;
  return rowAt(model, name.layer, name.index);
}

/** Return the first row of a layer and the number of its rows. */
export function layerRows(model: Model, layer: number): { first: number; count: number } {
  return { first: rowAt(model, layer, 0), count: model.n_heads };
}

/** The heads table, decoded. Arrays have one entry per head, in the order of the atlas. */
export interface Heads {
  n: number;
  /** Place in `manifest.models`. */
  model: Values;
  layer: Values;
  index: Values;
  /** 0 at the first layer, 1 at the last. */
  depth: Values;
  /** Return another column: a score, `<score> spread`, `cluster <method>`, `class_group`; null if absent. */
  column(name: string): { values: Values; column: Column } | null;
  /** Return the label of a head in a column of codes; null for "none". */
  label(name: string, row: number): string | null;
}

/** Load the heads table. */
export function loadHeads(manifest: Manifest): Promise<Heads> {
  return once("heads", async () => {
    const table = manifest.heads;
    const buffer = await bytes(table.file);
    const decoded = new Map<string, Values>();
    const column = (name: string) => {
      const stored = findColumn(table, name);
      if (!stored) return null;
      let values = decoded.get(name);
      if (!values) {
        values = decodeColumn(buffer, stored);
        decoded.set(name, values);
      }
      return { values, column: stored };
    };
    const needed = (name: string): Values => {
      const stored = column(name);
      if (!stored) throw new DataError(table.file, `has no column ${name}`);
      return stored.values;
    };
    return {
      n: table.n_rows,
      model: needed("model"),
      layer: needed("layer"),
      index: needed("index"),
      depth: needed("depth"),
      column,
      label: (name, row) => {
        const stored = column(name);
        return stored ? labelOf(stored.column, stored.values[row] ?? Number.NaN) : null;
      },
    };
  });
}

/** Filters of heads. */
export interface HeadFilter {
  /** Model names; empty is all. */
  models: string[];
  /** Layers, first and last included; null is all. */
  layers: [number, number] | null;
  /** Rows of heads in the chosen classes; null is all. */
  rows: Set<number> | null;
}

/** Return 1 for each head that passes the filters. */
export function passing(manifest: Manifest, filter: HeadFilter): Uint8Array {
  const mask = new Uint8Array(manifest.n_heads);
  for (const model of manifest.models) {
    if (filter.models.length > 0 && !filter.models.includes(model.name)) continue;
    for (let row = model.first_row; row < rowsEnd(model); row++) {
      const { layer } = placeOfRow(model, row);
      if (filter.layers && (layer < filter.layers[0] || layer > filter.layers[1])) continue;
      if (filter.rows && !filter.rows.has(row)) continue;
      mask[row] = 1;
    }
  }
  return mask;
}
