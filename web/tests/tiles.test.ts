import { describe, expect, it } from "vitest";
import type { DistanceMetric } from "../src/contract/generated";
import { codeLimits } from "../src/data/distances";
import { tileName, tileReader, tilesInView, zoomFor } from "../src/data/tiles";
import { manifest } from "./manifest";

const N = 9;
const tiles = { folder: "distances/0", side: 2, spans: [2, 1] };
const metric = { tiles } as unknown as DistanceMetric;
/** A code per pair, symmetric. */
const code = (row: number, column: number) => 100 * Math.min(row, column) + Math.max(row, column);
/** Means of the five layers of the made-up atlas. */
const means = Uint16Array.from({ length: 25 }, (_, i) => 5000 + i);

/** The tile as the export writes it: the code of the first heads of each cell. */
function tile(zoom: number, row: number, column: number): Uint16Array {
  const span = tiles.spans[zoom] as number;
  const n = Math.ceil(N / span);
  const cells = (at: number) => Array.from({ length: Math.min(2, n - 2 * at) }, (_, i) => 2 * at + i);
  return Uint16Array.from(cells(row).flatMap((i) => cells(column).map((j) => code(span * i, span * j))));
}

describe("tiles of distances", () => {
  it.each([0, 1])("give every cell of zoom %i, on both sides of the diagonal", (zoom) => {
    const span = tiles.spans[zoom] as number;
    const places = tilesInView(tiles, N, zoom, { left: 0, top: 0, cells: N });
    const loaded = new Map(places.map((place) => [tileName(place), tile(zoom, place.row, place.column)]));
    const read = tileReader(manifest, metric, means, zoom, loaded);
    for (let row = 0; row < N; row++) {
      for (let column = 0; column < N; column++) {
        const [a, b] = [row, column].map((head) => Math.floor(head / span) * span) as [number, number];
        expect(read(row, column)).toEqual({ code: code(a, b), span });
      }
    }
  });

  it("are the means of layers where none is loaded", () => {
    const loaded = new Map([["1-0-1", tile(1, 0, 1)]]);
    const read = tileReader(manifest, metric, means, 1, loaded);
    expect(read(3, 0)).toEqual({ code: code(0, 3), span: 1 });
    expect(read(0, 0)).toEqual({ code: 5000, span: null });
    expect(read(8, 3)).toEqual({ code: 5000 + 4 * 5 + 1, span: null });
    expect(tileReader(manifest, metric, means, null, loaded)(3, 0).span).toBeNull();
  });

  it("are those of the window only, each once", () => {
    const names = tilesInView(tiles, N, 1, { left: 3.5, top: 0, cells: 2 }).map(tileName);
    expect(names).toEqual(["1-0-1", "1-0-2"]);
    expect(tilesInView(tiles, N, 1, { left: 0, top: 0, cells: 4 }).map(tileName)).toEqual(["1-0-0", "1-0-1", "1-1-1"]);
    expect(tilesInView(tiles, N, 0, { left: 8, top: 8, cells: 3 }).map(tileName)).toEqual(["0-2-2"]);
  });

  it("are finer in smaller windows", () => {
    expect([20_000, 2_000, 1_000, 3].map((cells) => zoomFor(tiles, cells))).toEqual([null, 0, 1, 1]);
  });

  it("have colours between the quantiles of a model", () => {
    const quantiles = Float32Array.from({ length: 202 }, (_, i) => (i < 101 ? i / 100 : Number.NaN));
    expect(codeLimits(quantiles, 0.01).map(Math.round)).toEqual([1, 99, 65534]);
    expect(codeLimits(new Float32Array(101).fill(Number.NaN), 1)).toEqual([0, 65534, 65534]);
  });
});
