import "./view.css";
import { colourAt } from "../pattern-canvas/colour-map";
import type { ColourBarProps } from "./api";

const STEPS = 40;
const WIDTH = 160;

/** A bar of colours with the numbers at its ends. */
export function ColourBar({ map, reversed = false, low, high, title }: ColourBarProps) {
  const figure = (value: number) => String(Number(value.toPrecision(3)));
  return (
    <span class="colour-bar">
      <span class="muted">{title}</span>
      <span class="number">{figure(low)}</span>
      <svg width={WIDTH} height={12} viewBox={`0 0 ${WIDTH} 12`} aria-hidden="true">
        {Array.from({ length: STEPS }, (_, i) => {
          const share = i / (STEPS - 1);
          const fill = colourAt(map, reversed ? 1 - share : share);
          // Each reaches to the end, below the next ones, so that there are no seams.
          return <rect key={i} x={(i * WIDTH) / STEPS} width={WIDTH * (1 - i / STEPS)} height={12} fill={fill} />;
        })}
      </svg>
      <span class="number">{figure(high)}</span>
    </span>
  );
}
