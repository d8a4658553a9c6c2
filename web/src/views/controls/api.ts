/** A choice of one. */
export interface SelectProps<T extends string> {
  label: string;
  value: T;
  options: readonly { value: T; title: string; help?: string }[];
  onChange: (value: T) => void;
}

/** A whole number. */
export interface NumberProps {
  label: string;
  value: number;
  low: number;
  high: number;
  step?: number;
  onChange: (value: number) => void;
}

/** A choice of several, folded away; none chosen means all. */
export interface ManyProps {
  label: string;
  values: readonly string[];
  options: readonly { value: string; title: string; count?: number }[];
  onChange: (values: string[]) => void;
  /** Said when none is chosen; "all" if left out. */
  none?: string;
}

/** Yes or no. */
export interface CheckProps {
  label: string;
  value: boolean;
  help?: string;
  onChange: (value: boolean) => void;
}
