/** A select box. */
export interface SelectProps<T extends string> {
  label: string;
  value: T;
  options: readonly { value: T; title: string; help?: string }[];
  onChange: (value: T) => void;
}

/** A field for a whole number. */
export interface NumberProps {
  label: string;
  value: number;
  low: number;
  high: number;
  step?: number;
  onChange: (value: number) => void;
}

/** A list of checkboxes that opens on click; no choice means all. */
export interface ManyProps {
  label: string;
  values: readonly string[];
  options: readonly { value: string; title: string; count?: number }[];
  onChange: (values: string[]) => void;
  /** Shown when nothing is chosen (default: "all"). */
  none?: string;
}

/** A checkbox. */
export interface CheckProps {
  label: string;
  value: boolean;
  help?: string;
  onChange: (value: boolean) => void;
}

/** One choice among many options, which are listed by group. */
export interface GroupedProps {
  label: string;
  value: string;
  /** Options of a group follow each other. */
  options: readonly { value: string; title: string; group: string }[];
  onChange: (value: string) => void;
}
