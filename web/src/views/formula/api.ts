/** A formula in LaTeX, shown as MathML. */
export interface FormulaProps {
  latex: string;
  /** On a line of its own. */
  display?: boolean;
}
