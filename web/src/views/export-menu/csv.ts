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
  return [titles, ...rows].map(line).join("");
}

function line(row: Row): string {
  return `${row.map(cell).join(",")}\r\n`;
}

/** Rows written before the page gets time to answer. */
const AT_ONCE = 20_000;

/** Return a long table as CSV. Its rows are made one after the other, and the page answers in between. */
export async function csvBlob(titles: readonly string[], n: number, row: (place: number) => Row): Promise<Blob> {
  const parts = [line(titles)];
  for (let start = 0; start < n; start += AT_ONCE) {
    let part = "";
    for (let place = start; place < Math.min(n, start + AT_ONCE); place++) part += line(row(place));
    parts.push(part);
    await new Promise((resume) => setTimeout(resume));
  }
  return new Blob(parts);
}
