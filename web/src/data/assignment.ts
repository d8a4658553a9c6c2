// Assignment of rows to columns with the largest sum of weights (Kuhn, 1955; Jonker and Volgenant,
// 1987): O(k^2 m) for k rows and m columns, where k is the smaller number.

/** Return the column of each row, or -1, with at most one row per column. `weights[row][column]`. */
export function assign(weights: readonly (readonly number[])[], nColumns: number): number[] {
  const nRows = weights.length;
  if (nRows <= nColumns) return pair(nRows, nColumns, (row, column) => weights[row]?.[column] ?? 0);
  const rows = pair(nColumns, nRows, (column, row) => weights[row]?.[column] ?? 0);
  const columns = new Array<number>(nRows).fill(-1);
  rows.forEach((row, column) => (columns[row] = column));
  return columns;
}

/** Return the column of every row, for at most as many rows as columns. */
function pair(n: number, m: number, weight: (row: number, column: number) => number): number[] {
  // Potentials of rows and columns, and the row of each column; indices start at 1, 0 means none.
  const u = new Float64Array(n + 1);
  const v = new Float64Array(m + 1);
  const rowOf = new Int32Array(m + 1);
  for (let i = 1; i <= n; i++) {
    const way = new Int32Array(m + 1);
    const least = new Float64Array(m + 1).fill(Number.POSITIVE_INFINITY);
    const used = new Uint8Array(m + 1);
    rowOf[0] = i;
    let at = 0;
    do {
      used[at] = 1;
      const row = rowOf[at] as number;
      let delta = Number.POSITIVE_INFINITY;
      let next = 0;
      for (let j = 1; j <= m; j++) {
        if (used[j]) continue;
        const reduced = -weight(row - 1, j - 1) - (u[row] as number) - (v[j] as number);
        if (reduced < (least[j] as number)) {
          least[j] = reduced;
          way[j] = at;
        }
        if ((least[j] as number) < delta) {
          delta = least[j] as number;
          next = j;
        }
      }
      for (let j = 0; j <= m; j++) {
        if (used[j]) {
          u[rowOf[j] as number] = (u[rowOf[j] as number] as number) + delta;
          v[j] = (v[j] as number) - delta;
        } else least[j] = (least[j] as number) - delta;
      }
      at = next;
    } while (rowOf[at] !== 0);
    while (at !== 0) {
      const previous = way[at] as number;
      rowOf[at] = rowOf[previous] as number;
      at = previous;
    }
  }
  const columns = new Array<number>(n).fill(-1);
  for (let j = 1; j <= m; j++) if ((rowOf[j] as number) > 0) columns[(rowOf[j] as number) - 1] = j - 1;
  return columns;
}
