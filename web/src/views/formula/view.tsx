import { useEffect, useRef } from "preact/hooks";
import type { FormulaProps } from "./api";

/** KaTeX is loaded when the first formula is shown; until then, and if it fails, the source is. */
export function Formula({ latex, display = false }: FormulaProps) {
  const place = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    let current = true;
    void import("katex").then(
      ({ default: katex }) => {
        if (!current || !place.current) return;
        katex.render(latex, place.current, {
          output: "mathml",
          displayMode: display,
          throwOnError: false,
          // Formulas of user-made features are data: no links, no commands that load anything.
          trust: false,
          maxSize: 20,
          maxExpand: 200,
        });
      },
      () => undefined,
    );
    return () => {
      current = false;
    };
  }, [latex, display]);
  return (
    <span ref={place} class="formula" role="math" aria-label={latex}>
      {latex}
    </span>
  );
}
