/** Numbers of a view as text, to save beside the picture. */
export interface ExportData {
  /** "CSV", "JSON": what the button says. */
  title: string;
  /** `csv`, `json`. */
  extension: string;
  type: string;
  make: () => string;
}

/** Buttons that save a view as PNG and SVG, and its numbers. */
export interface ExportMenuProps {
  /** The element to save: all that is in it but controls and what has `data-export="no"`. */
  target: () => Element | null;
  /** File name without ending; anything but letters and digits becomes `-`. */
  name: string;
  data?: readonly ExportData[];
}
