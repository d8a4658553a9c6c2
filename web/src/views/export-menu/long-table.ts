// Long tables as CSV or JSON, made in parts from columns. Pure functions, which run in a worker.

import { csvLine } from "./csv";

/** A column with an entry per point: numbers; codes of labels; or labels in turn, each for `every` points. */
export type LongColumn = { title: string } & (
  | { values: ArrayLike<number> }
  | { codes: ArrayLike<number>; labels: readonly string[] }
  | { every: number; labels: readonly (string | number)[] }
);

/** A table with a row per listed point. */
export interface LongTable {
  columns: readonly LongColumn[];
  points: Uint32Array;
}

/** Rows of a part. */
const AT_ONCE = 20_000;

type Cell = string | number | null;

/** Return the text of a table in parts. */
export function* longText({ columns, points }: LongTable, format: "csv" | "json"): Generator<string> {
  const readers = columns.map(reader);
  const titles = columns.map((column) => column.title);
  yield format === "csv" ? csvLine(titles) : `{"columns":${JSON.stringify(titles)},"rows":[`;
  for (let start = 0; start < points.length; start += AT_ONCE) {
    let part = "";
    for (let place = start; place < Math.min(points.length, start + AT_ONCE); place++) {
      const row = readers.map((read) => read(points[place] as number));
      part += format === "csv" ? csvLine(row) : (place === 0 ? "" : ",") + JSON.stringify(row);
    }
    yield part;
  }
  if (format === "json") yield "]}";
}

function reader(column: LongColumn): (point: number) => Cell {
  if ("values" in column) return (point) => column.values[point] ?? null;
  const { labels } = column;
  if ("codes" in column) return (point) => labels[column.codes[point] ?? -1] ?? null;
  return (point) => labels[Math.floor(point / column.every) % labels.length] ?? null;
}
