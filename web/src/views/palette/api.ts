/** The palette of Okabe and Ito, which colour-blind readers can distinguish, without black. */
export const CATEGORIES = [
  "#0072b2",
  "#e69f00",
  "#009e73",
  "#cc79a7",
  "#56b4e9",
  "#d55e00",
  "#b5a800",
  "#7f7f7f",
] as const;
/** Colour of no class, no cluster and no value. */
export const NONE = "#9aa2ad";
