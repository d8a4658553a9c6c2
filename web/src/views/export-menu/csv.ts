// Tables as CSV (RFC 4180).

/** Format a cell. Text that a spreadsheet would read as a formula gets a `'` in front. */
function cell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "";
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

type Row = readonly (string | number | null | undefined)[];

/** Return a table as CSV, with a line of titles. */
export function csv(titles: readonly string[], rows: readonly Row[]): string {
  return [titles, ...rows].map(csvLine).join("");
}

/** Return a row as a line of CSV. */
export function csvLine(row: Row): string {
  return `${row.map(cell).join(",")}\r\n`;
}
