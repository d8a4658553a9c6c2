// The tiles of the visible part of the matrix.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { DistanceMetric, DistanceTiles, Manifest } from "../../contract/generated";
import { loadTile, tileName, tileReader, tilesInView, zoomFor, type ShownCell } from "../../data/tiles";
import type { ReadMatrix } from "../../views/heatmap/api";
import type { Frame } from "../../views/heatmap/frame";

/** Milliseconds that the window rests before its tiles are loaded: a turn of the wheel passes many. */
const REST = 80;

interface Tiled {
  matrix: ReadMatrix;
  read: (row: number, column: number) => ShownCell;
  /** Heads on each side of a cell of the zoom; null: cells are layers. */
  span: number | null;
  /** Number of tiles that are still to come. */
  missing: number;
  /** Why a tile could not be loaded; empty if none failed. */
  problem: string;
}

/** Load the tiles of a window whenever it rests; what is not loaded yet is shown by the means of layers. A component per metric. */
export function useTiles(manifest: Manifest, metric: DistanceMetric, tiles: DistanceTiles, means: Uint16Array, frame: Frame): Tiled {
  const loaded = useRef(new Map<string, Uint16Array>());
  const [version, setVersion] = useState(0);
  const [problem, setProblem] = useState("");
  const n = manifest.n_heads;
  const zoom = zoomFor(tiles, frame.cells);
  const places = zoom === null ? [] : tilesInView(tiles, n, zoom, frame);
  const names = places.map(tileName).join();
  useEffect(() => {
    let isCurrent = true;
    setProblem("");
    const begin = async () => {
      const kept = places.map(tileName);
      // Tiles out of view are dropped here; the cache of files keeps some of them.
      for (const name of loaded.current.keys()) if (!kept.includes(name)) loaded.current.delete(name);
      await Promise.all(
        places.map(async (place) => {
          const tile = await loadTile(manifest, tiles, place);
          if (!isCurrent) return;
          loaded.current.set(tileName(place), tile);
          setVersion((before) => before + 1);
        }),
      );
    };
    const timer = setTimeout(() => {
      begin().catch((error: unknown) => {
        if (isCurrent) setProblem(error instanceof Error ? error.message : String(error));
      });
    }, REST);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [metric, names]);
  const read = useMemo(
    () => tileReader(manifest, metric, means, zoom, loaded.current),
    [manifest, metric, means, zoom, version],
  );
  const matrix = useMemo(() => ({ n, at: (row: number, column: number) => read(row, column).code }), [n, read]);
  const missing = places.filter((place) => !loaded.current.has(tileName(place))).length;
  return { matrix, read, span: zoom === null ? null : (tiles.spans[zoom] as number), missing, problem };
}
