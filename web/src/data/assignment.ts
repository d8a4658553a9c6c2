// Pairing of rows and columns so that the sum is largest (Kuhn, 1955; in O(n^3) by Munkres).

/** Column of each row, or -1; `weights[row][column]`, at most one row per column. */
export function assign(weights: readonly (readonly number[])[], nColumns: number): number[] {
  const nRows = weights.length;
  const n = Math.max(nRows, nColumns);
  // A square problem of costs; what is added costs nothing. Arrays count from 1.
  const cost = (i: number, j: number) => -(weights[i - 1]?.[j - 1] ?? 0);
  const u = new Float64Array(n + 1);
  const v = new Float64Array(n + 1);
  const rowOf = new Int32Array(n + 1);
  for (let i = 1; i <= n; i++) {
    const way = new Int32Array(n + 1);
    const least = new Float64Array(n + 1).fill(Number.POSITIVE_INFINITY);
    const used = new Uint8Array(n + 1);
    rowOf[0] = i;
    let at = 0;
    do {
      used[at] = 1;
      const row = rowOf[at] as number;
      let delta = Number.POSITIVE_INFINITY;
      let next = 0;
      for (let j = 1; j <= n; j++) {
        if (used[j]) continue;
        const reduced = cost(row, j) - (u[row] as number) - (v[j] as number);
        if (reduced < (least[j] as number)) {
          least[j] = reduced;
          way[j] = at;
        }
        if ((least[j] as number) < delta) {
          delta = least[j] as number;
          next = j;
        }
      }
      for (let j = 0; j <= n; j++) {
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
  const columns = new Array<number>(nRows).fill(-1);
  for (let j = 1; j <= nColumns; j++) {
    const row = (rowOf[j] as number) - 1;
    if (row >= 0 && row < nRows) columns[row] = j - 1;
  }
  return columns;
}
