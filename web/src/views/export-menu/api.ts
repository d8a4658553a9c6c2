/** The numbers of a view as a file. */
export interface ExportData {
  /** Text of the button: "CSV", "JSON". */
  title: string;
  /** `csv`, `json`. */
  extension: string;
  type: string;
  make: () => string | Promise<Blob>;
}

/** Buttons that save a view as PNG and SVG, and its numbers as other files. */
export interface ExportMenuProps {
  /** The element to save, without controls and elements with `data-export="no"`. */
  target: () => Element | null;
  /** File name without suffix; characters other than letters and digits become `-`. */
  name: string;
  data?: readonly ExportData[];
}
