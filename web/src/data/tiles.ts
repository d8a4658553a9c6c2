// The distances of very many heads: tiles at several zooms, of which those on the screen are loaded.

import type { DistanceMetric, DistanceTiles, Manifest } from "../contract/generated";
import { values } from "./source";

/** The visible part of the matrix, in heads. */
interface Window {
  left: number;
  top: number;
  cells: number;
}

/** A tile; `row` is at most `column`. */
export interface TilePlace {
  zoom: number;
  row: number;
  column: number;
}

/** What is known of the distance of two heads. */
export interface ShownCell {
  code: number;
  /** Heads on each side of the cell whose mean it is; null for the mean of two layers. */
  span: number | null;
}

/** Cells across the window up to which a zoom is shown. Finer cells would be smaller than a pixel. */
export const MOST_CELLS = 1000;

/** Return the finest zoom for a window of some heads; null if the means of layers are fine enough. */
export function zoomFor(tiles: DistanceTiles, cells: number): number | null {
  const fine = tiles.spans.findLastIndex((span) => cells / span <= MOST_CELLS);
  return fine < 0 ? null : fine;
}

/** Return the tiles that a window needs. The matrix is symmetric: a tile serves both sides of the diagonal. */
export function tilesInView(tiles: DistanceTiles, n: number, zoom: number, { left, top, cells }: Window): TilePlace[] {
  const heads = tiles.side * (tiles.spans[zoom] as number);
  const places = (first: number) => {
    const [from, to] = [Math.max(0, Math.floor(first / heads)), Math.ceil(Math.min(n, first + cells) / heads)];
    return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
  };
  const needed = new Map<string, TilePlace>();
  for (const i of places(top)) {
    for (const j of places(left)) {
      const place = { zoom, row: Math.min(i, j), column: Math.max(i, j) };
      needed.set(tileName(place), place);
    }
  }
  return [...needed.values()];
}

/** Return the name of a tile, unique within a metric. */
export function tileName({ zoom, row, column }: TilePlace): string {
  return `${zoom}-${row}-${column}`;
}

/** Load a tile: codes row by row. */
export async function loadTile(manifest: Manifest, tiles: DistanceTiles, place: TilePlace): Promise<Uint16Array> {
  const n = Math.ceil(manifest.n_heads / (tiles.spans[place.zoom] as number));
  const size = (at: number) => Math.min(tiles.side, n - at * tiles.side);
  const length = size(place.row) * size(place.column);
  return (await values(`${tiles.folder}/${tileName(place)}.bin`, "uint16", length)) as Uint16Array;
}

/**
 * Return a function that reads a distance from the loaded tiles of a zoom, and from the means of layers
 * where none is loaded.
 */
export function tileReader(
  manifest: Manifest,
  metric: DistanceMetric,
  means: Uint16Array,
  zoom: number | null,
  loaded: ReadonlyMap<string, Uint16Array>,
): (row: number, column: number) => ShownCell {
  const layerOf = layersOfHeads(manifest);
  const nLayers = Math.sqrt(means.length);
  const coarse = (row: number, column: number): ShownCell => ({
    code: means[(layerOf[row] as number) * nLayers + (layerOf[column] as number)] as number,
    span: null,
  });
  if (zoom === null || !metric.tiles) return coarse;
  const { side, spans } = metric.tiles;
  const span = spans[zoom] as number;
  const n = Math.ceil(manifest.n_heads / span);
  const perAxis = Math.ceil(n / side);
  // By place, since the names of tiles would be made for every pixel.
  const byPlace: (Uint16Array | undefined)[] = new Array(perAxis * perAxis);
  for (let i = 0; i < perAxis; i++) {
    for (let j = i; j < perAxis; j++) byPlace[i * perAxis + j] = loaded.get(tileName({ zoom, row: i, column: j }));
  }
  return (row, column) => {
    const [a, b] = row <= column ? [row, column] : [column, row];
    const [p, q] = [Math.floor(a / span), Math.floor(b / span)];
    const [i, j] = [Math.floor(p / side), Math.floor(q / side)];
    const tile = byPlace[i * perAxis + j];
    if (!tile) return coarse(row, column);
    const width = Math.min(side, n - j * side);
    return { code: tile[(p - i * side) * width + (q - j * side)] as number, span };
  };
}

/** Return the place of the layer of each head among all layers of all models. */
function layersOfHeads(manifest: Manifest): Uint32Array {
  const layers = new Uint32Array(manifest.n_heads);
  let layer = 0;
  for (const model of manifest.models) {
    for (let i = 0; i < model.layers.length; i++, layer++) {
      const first = model.first_row + i * model.n_heads;
      layers.fill(layer, first, first + model.n_heads);
    }
  }
  return layers;
}
