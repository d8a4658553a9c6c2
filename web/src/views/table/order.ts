// Sorting and filtering of tables.

import type { TableColumn } from "./api";

/** Return the rows that contain all words of the filter, sorted. */
export function arrange<Row>(
  rows: readonly Row[],
  columns: readonly TableColumn<Row>[],
  sort: string,
  filter: string,
): Row[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const kept = rows.filter((row) => {
    if (words.length === 0) return true;
    const text = columns.map((column) => String(column.value(row) ?? "").toLowerCase()).join("\n");
    return words.every((word) => text.includes(word));
  });
  const down = sort.startsWith("-");
  const column = columns.find((column) => column.name === (down ? sort.slice(1) : sort));
  if (!column) return kept;
  const keyed = kept.map((row) => ({ row, value: column.value(row) }));
  keyed.sort((a, b) => compare(a.value, b.value, down));
  return keyed.map((item) => item.row);
}

const collator = new Intl.Collator("en", { numeric: true });

function compare(a: string | number | null, b: string | number | null, down: boolean): number {
  const missing = Number(isMissing(a)) - Number(isMissing(b));
  if (missing !== 0) return missing;
  if (isMissing(a)) return 0;
  const order =
    typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b));
  return down ? -order : order;
}

function isMissing(value: string | number | null): value is null {
  return value === null || (typeof value === "number" && Number.isNaN(value));
}

/** Return the order after a click on a heading. */
export function nextSort<Row>(sort: string, column: TableColumn<Row>): string {
  const first = column.numeric ? `-${column.name}` : column.name;
  const second = column.numeric ? column.name : `-${column.name}`;
  if (sort === first) return second;
  return sort === second ? "" : first;
}
