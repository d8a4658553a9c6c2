import type { Pattern } from "../../data/patterns";

/** A query and a key, counted from 0; key is at most query. */
export interface Cell {
  query: number;
  key: number;
}

/** A large pattern with a current cell, for pointer and keyboard. */
export interface PatternMatrixProps {
  pattern: Pattern;
  /** Side in CSS pixels. */
  size: number;
  /** The locked cell, which arrow keys move; null if none is locked. */
  locked: Cell | null;
  /** The cell under the pointer, or the locked one. */
  active: Cell | null;
  /** Description of the active cell, for screen readers. */
  describe: string;
  label: string;
  onHover: (cell: Cell | null) => void;
  /** Called with the cell to lock; null to unlock. */
  onLock: (cell: Cell | null) => void;
  /** Called when arrow keys move the cell. */
  onMove: (cell: Cell) => void;
}
