import type { ComponentChildren } from "preact";

/** A column of a table. */
export interface TableColumn<Row> {
  /** Name in links. */
  name: string;
  title: string;
  /** Value for sorting, filtering and CSV; null is missing and sorted last. */
  value: (row: Row) => string | number | null;
  /** Content of a cell (default: the value). */
  cell?: (row: Row) => ComponentChildren;
  /** Right-aligned; the first sort is descending. */
  numeric?: boolean;
  /** Explanation shown on hover and on focus. */
  help?: string;
}

/** A table with sorting and a text filter. */
export interface TableProps<Row> {
  rows: readonly Row[];
  columns: readonly TableColumn<Row>[];
  rowKey: (row: Row) => string | number;
  /** Description for screen readers. */
  label: string;
  /** Name of a column, with `-` in front for descending order; empty for the order of `rows`. */
  sort: string;
  onSort: (sort: string) => void;
  /** Words that must all occur in a row. Without `onFilter` there is no filter field. */
  filter?: string;
  onFilter?: (filter: string) => void;
  /** Whether a row is marked. */
  selected?: (row: Row) => boolean;
  /** Rows shown at first (default 200); a button shows as many more. */
  most?: number;
}
