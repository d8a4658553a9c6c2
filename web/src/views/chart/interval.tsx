import type { IntervalProps } from "./api";
import { place } from "./scale";

const HEIGHT = 18;

/** One value with its interval, for a cell of a table. */
export function Interval(props: IntervalProps) {
  const { value, interval, band, middle, strong, domain, line, width = 150, label } = props;
  const x = place({ title: "", domain, exact: true }, 5, width - 5, 2);
  // Values outside of the domain are drawn at its end.
  const at = (number: number) => Math.min(width - 2, Math.max(2, x.at(number)));
  const y = HEIGHT / 2;
  return (
    <svg class="chart-interval" width={width} height={HEIGHT} role="img" aria-label={label}>
      <line class="chart-grid" x1={2} x2={width - 2} y1={y} y2={y} />
      {band ? (
        <rect
          class="chart-band"
          x={at(Math.min(...band))}
          width={Math.max(1, Math.abs(at(band[1]) - at(band[0])))}
          y={3}
          height={HEIGHT - 6}
        />
      ) : null}
      {line === undefined ? null : <line class="chart-line" x1={at(line)} x2={at(line)} y1={1} y2={HEIGHT - 1} />}
      {middle === null || middle === undefined ? null : (
        <line class="chart-middle" x1={at(middle)} x2={at(middle)} y1={3} y2={HEIGHT - 3} />
      )}
      {interval ? (
        <line class="chart-whisker" x1={at(interval[0])} x2={at(interval[1])} y1={y} y2={y} />
      ) : null}
      {value === null ? null : (
        <circle class={strong ? "chart-value chart-value-strong" : "chart-value"} cx={at(value)} cy={y} r={4} />
      )}
      <title>{label}</title>
    </svg>
  );
}
