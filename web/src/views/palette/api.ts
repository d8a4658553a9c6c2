/** Okabe and Ito's palette, told apart by the colour-blind; black is left out for dark pages. */
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
/** What has no class, no cluster or no value. */
export const NONE = "#9aa2ad";
