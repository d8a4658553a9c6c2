import type { AblationRow } from "../../data/ablations";
import { figure } from "../chart/scale";
import { Interval } from "../chart/view";
import { effectInWords } from "./words";

/** An effect with its interval, and the layer-matched controls in grey. */
export function EffectInterval({ row, domain, width = 150 }: { row: AblationRow; domain: readonly [number, number]; width?: number }) {
  const { ci_low, ci_high, control_low, control_high, control_effect, q } = row;
  const controls = control_effect === null ? "" : `, controls ${figure(control_effect)}`;
  return (
    <Interval
      value={row.effect}
      interval={ci_low === null || ci_high === null ? null : [ci_low, ci_high]}
      band={control_low === null || control_high === null ? null : [control_low, control_high]}
      middle={control_effect}
      strong={q !== null && q <= 0.05}
      domain={domain}
      line={0}
      width={width}
      label={`effect ${effectInWords(row)}${controls}${q === null ? "" : `, q ${figure(q)}`}`}
    />
  );
}
