import "./view.css";
import type { PatternStyle } from "../pattern-canvas/api";
import { brightness, colourAt } from "../pattern-canvas/colour-map";
import { linkedStyle } from "../pattern-canvas/view";
import type { WeightBarProps } from "./api";

const STEPS = 48;
const WIDTH = 192;
const ROOM = 14;

const SCALES = { sqrt: "square-root", linear: "linear", log: "logarithmic" } as const;
const SINKS = { shown: "", apart: "; first token apart, from 0 to 1", hidden: "; first token hidden" } as const;

/** Return the name of a scale and of what is done with the first token. */
export function scaleName({ scale, sink }: Pick<PatternStyle, "scale" | "sink">): string {
  return `Weight, ${SCALES[scale]} scale${SINKS[sink]}`;
}

/** Return the weights at the ticks of a bar, as shares of the largest. */
function shares(scale: PatternStyle["scale"]): number[] {
  return scale === "log" ? [0.0001, 0.001, 0.01, 0.1, 1] : scale === "sqrt" ? [0, 0.05, 0.25, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];
}

/** The colours of several patterns in the style of the link. With the first token apart, each has a scale of its own. */
export function PatternWeightBar() {
  const style = linkedStyle();
  return <WeightBar style={style} top={1} {...(style.sink === "shown" ? {} : { topText: "strong weights of each pattern" })} />;
}

/** The colours of weights from 0 to the largest. */
export function WeightBar({ style, top, topText }: WeightBarProps) {
  const topByte = Math.max(1, 255 * Math.sqrt(top));
  const at = (share: number) => brightness(topByte * Math.sqrt(share), style.scale, topByte) * WIDTH;
  const shown = (share: number) => {
    if (topText === undefined) return String(Number((share * top).toPrecision(2)));
    return share === 1 ? topText : "";
  };
  return (
    <div class="weight-bar">
      <svg width={WIDTH + 2 * ROOM} height={26} viewBox={`${-ROOM} 0 ${WIDTH + 2 * ROOM} 26`} aria-hidden="true">
        {Array.from({ length: STEPS }, (_, i) => (
          // Each reaches to the end, below the next ones, so that there are no seams.
          <rect key={i} x={(i * WIDTH) / STEPS} width={WIDTH * (1 - i / STEPS)} height={12} fill={colourAt(style.map, i / (STEPS - 1))} />
        ))}
        {shares(style.scale).map((share) => (
          <text key={share} x={at(share)} y={23} data-end={topText !== undefined}>
            {shown(share)}
          </text>
        ))}
      </svg>
      <span class="muted">{scaleName(style)}</span>
    </div>
  );
}
