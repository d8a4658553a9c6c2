import type { EvaluationRow } from "../../contract/generated";
import { classes } from "../../state/params";
import { link } from "../../state/url";
import { figure, Interval } from "../../views/chart/view";
import { chance, signed, verdict } from "./rows";

/** The value with its interval, and the mean and the 95 % point of the layer-matched null. */
export function Beside({ row, domain }: { row: EvaluationRow; domain: readonly [number, number] }) {
  if (row.value === null) return <span class="muted">–</span>;
  const { value, low, high, null_mean, null_95, q } = row;
  const label = [
    `${row.statistic} ${figure(value)}`,
    low === null || high === null ? "" : `95 % interval ${figure(low)} to ${figure(high)}`,
    null_mean === null ? "" : `null mean ${figure(null_mean)}`,
    null_95 === null ? "" : `null 95 % ${figure(null_95)}`,
    verdict(row),
  ];
  return (
    <Interval
      value={value}
      interval={low === null || high === null ? null : [low, high]}
      band={null_mean !== null && null_95 !== null ? [null_mean, null_95] : null}
      middle={null_mean}
      width={130}
      strong={q !== null && q <= 0.05}
      domain={domain}
      {...(domain[0] < 0 ? { line: 0 } : {})}
      label={label.filter(Boolean).join(", ")}
    />
  );
}

/** The class or score of a row; classes link to their page. */
export function Name({ row }: { row: Pick<EvaluationRow, "name" | "kind"> }) {
  const isClass = row.kind === "literature" || row.kind === "computed";
  return isClass ? <a href={link("classes", classes.to([row.name]))}>{row.name}</a> : <>{row.name}</>;
}

/** A p-value, marked where the class is too small for a small p. */
export function Chance({ value, row }: { value: number | null; row: EvaluationRow }) {
  const bounded = value !== null && value > 0.05 && row.p_floor !== null && row.p_floor > 0.05;
  return (
    <span class={bounded ? "muted" : undefined} title={bounded ? "The class is too small for a smaller p" : undefined}>
      {chance(value)}
      {bounded ? "*" : ""}
    </span>
  );
}

/** The difference to the reference metric, with its interval. */
export function Difference({ row }: { row: EvaluationRow }) {
  const { difference, difference_low: low, difference_high: high } = row;
  if (difference === null) return <span class="muted">–</span>;
  return (
    <span>
      {signed(difference)}
      {low === null || high === null ? null : <span class="muted">{` (${signed(low)} to ${signed(high)})`}</span>}
    </span>
  );
}
