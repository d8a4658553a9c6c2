import { useEffect, useRef } from "preact/hooks";
import type { FormulaProps } from "./api";

/** A formula. KaTeX is loaded with the first one; until then, the LaTeX source is shown. */
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
          // Formulas of user-defined features are data: no links, no commands that load files.
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
