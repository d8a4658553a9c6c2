/** A formula in LaTeX, shown as MathML. */
export interface FormulaProps {
  latex: string;
  /** Whether it is on a line of its own. */
  display?: boolean;
}
