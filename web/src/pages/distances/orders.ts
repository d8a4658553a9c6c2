// Orders of the heads on the axes, and labels of the axes.

import type { Manifest } from "../../contract/generated";
import { headName, rowAt, rowsEnd } from "../../data/heads";
import { leafOrder } from "../../data/tree";
import type { AxisGroup } from "../../views/heatmap/api";

/** An order of the heads. */
export interface Order {
  /** Row of the head at each place. */
  rows: Uint32Array;
  groups: AxisGroup[];
  inner: AxisGroup[];
}

/** Order by model and layer, as in the atlas. */
export function atlasOrder(manifest: Manifest): Order {
  const rows = Uint32Array.from({ length: manifest.n_heads }, (_, row) => row);
  const groups = manifest.models.map((model) => ({
    start: model.first_row,
    end: rowsEnd(model),
    label: model.name,
  }));
  const inner = manifest.models.flatMap((model) =>
    model.layers.map((layer) => ({
      start: rowAt(model, layer, 0),
      end: rowAt(model, layer, 0) + model.n_heads,
      label: `L${layer}`,
    })),
  );
  return { rows, groups, inner };
}

/** Order by cluster, largest first; unclustered heads come last. Within a cluster, order by tree or atlas. */
export function clusterOrder(
  labels: Int32Array,
  linkage: Float32Array | null,
  name: (cluster: number) => string,
): Order {
  const base = linkage ? leafOrder(linkage) : Uint32Array.from(labels.keys());
  const key = (row: number) => {
    const label = labels[row] as number;
    return label < 0 ? Number.POSITIVE_INFINITY : label;
  };
  const places = Array.from(base.keys());
  places.sort((a, b) => {
    const [x, y] = [key(base[a] as number), key(base[b] as number)];
    return x === y ? a - b : x - y;
  });
  const rows = Uint32Array.from(places, (place) => base[place] as number);
  return { rows, groups: runs(rows, labels, name), inner: [] };
}

/** Order by the tree: heads that merge early are next to each other. */
export function treeOrder(
  labels: Int32Array,
  linkage: Float32Array,
  name: (cluster: number) => string,
): Order {
  const rows = leafOrder(linkage);
  return { rows, groups: runs(rows, labels, name), inner: [] };
}

/** Return the runs of heads of one cluster. */
function runs(rows: Uint32Array, labels: Int32Array, name: (cluster: number) => string): AxisGroup[] {
  const groups: AxisGroup[] = [];
  for (let start = 0; start < rows.length; ) {
    const label = labels[rows[start] as number] as number;
    let end = start + 1;
    while (end < rows.length && labels[rows[end] as number] === label) end++;
    groups.push({ start, end, label: name(label) });
    start = end;
  }
  return groups;
}

/** Return the label of one place: layer and head. */
export function placeName(manifest: Manifest, order: Order, place: number): string {
  return headName(manifest, order.rows[place] as number).replace(/^.*:(L\d+:H\d+)$/, "$1");
}
