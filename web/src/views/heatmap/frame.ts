// Which part of a square matrix is shown. Pure: the view only tells where the pointer is.

/** A square window: the first column and row that is seen, and how many of each. */
export interface Frame {
  left: number;
  top: number;
  cells: number;
}

/** Fewest cells that fill the window. */
const FEWEST = 3;

/** All of it. */
export function whole(n: number): Frame {
  return { left: 0, top: 0, cells: n };
}

/** A frame moved and sized so that it lies within the matrix. */
export function within(frame: Frame, n: number): Frame {
  const cells = Math.min(n, Math.max(Math.min(FEWEST, n), frame.cells));
  const place = (at: number) => Math.min(n - cells, Math.max(0, at));
  return { left: place(frame.left), top: place(frame.top), cells };
}

/** Zoom by a factor (2 = twice as near) about a point, given as shares of the window. */
export function zoomAt(frame: Frame, n: number, factor: number, u: number, v: number): Frame {
  const cells = within({ ...frame, cells: frame.cells / factor }, n).cells;
  const lost = frame.cells - cells;
  return within({ left: frame.left + u * lost, top: frame.top + v * lost, cells }, n);
}

/** Move by shares of the window: positive shows what lies to the right and below. */
export function pan(frame: Frame, n: number, du: number, dv: number): Frame {
  return within(
    { ...frame, left: frame.left + du * frame.cells, top: frame.top + dv * frame.cells },
    n,
  );
}

/** The frame moved as little as it takes to show a cell. */
export function showing(frame: Frame, n: number, row: number, column: number): Frame {
  const reach = (first: number, at: number) =>
    at < first ? at : at + 1 > first + frame.cells ? at + 1 - frame.cells : first;
  return within({ ...frame, left: reach(frame.left, column), top: reach(frame.top, row) }, n);
}

/** The cell at a point given as shares of the window; null beyond the matrix. */
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
