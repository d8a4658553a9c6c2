import type { ComponentChildren } from "preact";

/** A column of a table. */
export interface TableColumn<Row> {
  /** Stands in the link when the table is sorted by it. */
  name: string;
  title: string;
  /** What it is sorted and filtered by, and what the CSV holds; null is missing, sorted last. */
  value: (row: Row) => string | number | null;
  /** What is shown; the value if left out. */
  cell?: (row: Row) => ComponentChildren;
  /** Aligned right, with figures of equal width; sorted from large to small at first. */
  numeric?: boolean;
  /** Explained on hover. */
  help?: string;
}

/** A table that sorts by its headings and filters by a text. */
export interface TableProps<Row> {
  rows: readonly Row[];
  columns: readonly TableColumn<Row>[];
  rowKey: (row: Row) => string | number;
  /** What the table holds, for screen readers. */
  label: string;
  /** Name of a column, `-` in front for large to small; empty for the order of `rows`. */
  sort: string;
  onSort: (sort: string) => void;
  /** Words that all must be in a row; leave out `onFilter` for no field. */
  filter?: string;
  onFilter?: (filter: string) => void;
  /** Whether a row is marked. */
  selected?: (row: Row) => boolean;
  /** Rows shown at first; a button shows as many again. */
  most?: number;
}
