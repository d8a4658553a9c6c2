import type { Pattern } from "../../data/patterns";

/** A query and a key, counted from 0; the key does not come after the query. */
export interface Cell {
  query: number;
  key: number;
}

/** A large pattern whose cells can be hovered, locked and walked. */
export interface PatternMatrixProps {
  pattern: Pattern;
  /** Side in CSS pixels. */
  size: number;
  /** The cell that the keyboard moves; null where none is locked. */
  locked: Cell | null;
  /** The cell under the pointer, or the locked one. */
  active: Cell | null;
  /** What the active cell says, for screen readers. */
  describe: string;
  label: string;
  onHover: (cell: Cell | null) => void;
  /** A click locks, Escape unlocks. */
  onLock: (cell: Cell | null) => void;
  /** Arrows move. */
  onMove: (cell: Cell) => void;
}
