import type { Manifest } from "../../contract/generated";

/** Side of a cell of the layer-by-head grids, in pixels: smaller where there are many heads. */
export function cellSide(manifest: Manifest): number {
  return manifest.n_heads > 1500 ? 9 : 14;
}
