import "./strip.css";
import { useMemo } from "preact/hooks";
import type { StripProps } from "./api";
import { finiteExtent, histogram } from "./bins";

const BINS = 48;
const NONE: ArrayLike<number> = [];

/** A small histogram of all values with one of them marked. */
export function Strip(props: StripProps) {
  const { values = NONE, marked, spread = 0, threshold, label, width, height = 22 } = props;
  const [least, most] = useMemo(() => finiteExtent(values), [values]);
  const low = props.low ?? least;
  const high = props.high ?? most;
  const counts = useMemo(() => props.counts ?? histogram(values, low, high, BINS), [props.counts, values, low, high]);
  const top = Math.max(1, ...counts);
  const x = (value: number) =>
    high > low ? Math.min(width, Math.max(0, ((value - low) / (high - low)) * width)) : width / 2;
  const step = width / counts.length;
  return (
    <svg
      class="strip"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={label}
    >
      {counts.map((count, bin) => {
        // Square roots, so that small bins are visible.
        const tall = count === 0 ? 0 : Math.max(1, Math.sqrt(count / top) * (height - 6));
        return (
          <rect key={bin} class="bar" x={bin * step} y={height - 3 - tall} width={step - 0.5} height={tall} />
        );
      })}
      <line class="axis" x1={0} x2={width} y1={height - 2.5} y2={height - 2.5} />
      {threshold === null || threshold === undefined ? null : (
        <line class="threshold" x1={x(threshold)} x2={x(threshold)} y1={0} y2={height - 3} />
      )}
      {Number.isFinite(marked) ? (
        <>
          {spread > 0 ? (
            <line class="spread" x1={x(marked - spread)} x2={x(marked + spread)} y1={height - 2.5} y2={height - 2.5} />
          ) : null}
          <circle class="marked" cx={x(marked)} cy={height - 6} r={4} />
        </>
      ) : null}
    </svg>
  );
}
