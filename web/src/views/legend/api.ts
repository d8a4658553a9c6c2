/** A line of a legend. */
export interface LegendEntry {
  key: string;
  title: string;
  colour: string;
  count?: number;
}

/** The meaning of colours. With `onToggle`, entries are buttons. */
export interface LegendProps {
  label: string;
  entries: readonly LegendEntry[];
  /** Keys of the entries that are off. */
  hidden?: readonly string[];
  onToggle?: (key: string) => void;
}
