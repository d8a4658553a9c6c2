// Behaviour scores: those that reach their threshold, and all of one head.

import { decodeColumn, findColumn, labelOf, type Values } from "../contract/columns";
import type { Manifest, Score } from "../contract/generated";
import { fileOfHead } from "./head-files";
import { bytes, DataError, floats, once } from "./source";

/** Scores of heads by name: those that reach their threshold; NaN for other heads. */
export type MeasuredScores = ReadonlyMap<string, Float32Array>;

/** Load the scores that reach their threshold. */
export function loadMeasured(manifest: Manifest): Promise<MeasuredScores> {
  return once("measured", async () => {
    const table = manifest.measured;
    const buffer = await bytes(table.file);
    const column = (name: string): Values => {
      const stored = findColumn(table, name);
      if (!stored) throw new DataError(table.file, `has no column ${name}`);
      return decodeColumn(buffer, stored);
    };
    const [rows, scores, reached] = [column("row"), column("score"), column("value")];
    const named = findColumn(table, "score");
    const measured = new Map<string, Float32Array>();
    for (let i = 0; i < table.n_rows; i++) {
      const name = (named && labelOf(named, scores[i] as number)) ?? "";
      const ofScore = measured.get(name) ?? new Float32Array(manifest.n_heads).fill(Number.NaN);
      ofScore[rows[i] as number] = reached[i] as number;
      measured.set(name, ofScore);
    }
    return measured;
  });
}

/** A score of a head, compared with all heads; NaN where it is missing. */
export interface ScoreOfHead {
  score: Score;
  value: number;
  /** Standard deviation over sequences. */
  spread: number;
  /** Share of heads with a smaller score, 0 to 100. */
  percentile: number;
}

/** Load all scores of a head, in the order of the manifest. */
export async function loadScoresOfHead(manifest: Manifest, row: number): Promise<ScoreOfHead[]> {
  const width = manifest.scores.length;
  if (width === 0) return [];
  const file = fileOfHead(manifest, manifest.scores_of_heads, row);
  const all = await floats(`${file.name}.bin`, file.nRows * 3 * width);
  const start = (row - file.firstRow) * 3 * width;
  return manifest.scores.map((score, place) => ({
    score,
    value: all[start + place] as number,
    spread: all[start + width + place] as number,
    percentile: all[start + 2 * width + place] as number,
  }));
}
