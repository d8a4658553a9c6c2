/** A line of a legend. */
export interface LegendEntry {
  key: string;
  title: string;
  colour: string;
  count?: number;
}

/** What colours mean; entries that can be switched are buttons. */
export interface LegendProps {
  label: string;
  entries: readonly LegendEntry[];
  /** Keys that are switched off. */
  hidden?: readonly string[];
  onToggle?: (key: string) => void;
}
