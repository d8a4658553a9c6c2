// The visible part of a square matrix. Pure functions.

/** A square window: the first visible column and row, and their number. */
export interface Frame {
  left: number;
  top: number;
  cells: number;
}

/** Fewest cells in the window. */
const FEWEST = 3;

/** Return the window of the whole matrix. */
export function whole(n: number): Frame {
  return { left: 0, top: 0, cells: n };
}

/** Move and resize a window so that it is within the matrix. */
export function within(frame: Frame, n: number): Frame {
  const cells = Math.min(n, Math.max(Math.min(FEWEST, n), frame.cells));
  const place = (at: number) => Math.min(n - cells, Math.max(0, at));
  return { left: place(frame.left), top: place(frame.top), cells };
}

/** Zoom by a factor around a point, given as shares of the window; 2 doubles the size of cells. */
export function zoomAt(frame: Frame, n: number, factor: number, u: number, v: number): Frame {
  const cells = within({ ...frame, cells: frame.cells / factor }, n).cells;
  const lost = frame.cells - cells;
  return within({ left: frame.left + u * lost, top: frame.top + v * lost, cells }, n);
}

/** Move by shares of the window; positive moves right and down. */
export function pan(frame: Frame, n: number, du: number, dv: number): Frame {
  return within(
    { ...frame, left: frame.left + du * frame.cells, top: frame.top + dv * frame.cells },
    n,
  );
}

/** Move a window as little as needed to show a cell. */
export function showing(frame: Frame, n: number, row: number, column: number): Frame {
  const reach = (first: number, at: number) =>
    at < first ? at : at + 1 > first + frame.cells ? at + 1 - frame.cells : first;
  return within({ ...frame, left: reach(frame.left, column), top: reach(frame.top, row) }, n);
}

/** Return the cell at a point, given as shares of the window; null outside of the matrix. */
export function cellAt(
  frame: Frame,
  n: number,
  u: number,
  v: number,
): { row: number; column: number } | null {
  const column = Math.floor(frame.left + u * frame.cells);
  const row = Math.floor(frame.top + v * frame.cells);
  if (u < 0 || v < 0 || u >= 1 || v >= 1 || column >= n || row >= n) return null;
  return { row, column };
}
