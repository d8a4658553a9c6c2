import type { Axis } from "./api";
import type { Placed } from "./scale";

/** The box between the axes. */
export interface Frame {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** The horizontal axis: ticks, title and reference line. */
export function BottomAxis({ axis, placed, frame }: { axis: Axis; placed: Placed; frame: Frame }) {
  return (
    <g class="chart-axis">
      {placed.ticks.map((tick) => (
        <g key={tick.at}>
          <line class="chart-grid" x1={tick.at} x2={tick.at} y1={frame.top} y2={frame.bottom} />
          <text x={tick.at} y={frame.bottom + 14} text-anchor="middle">
            {tick.text}
          </text>
        </g>
      ))}
      {axis.line === undefined ? null : (
        <line
          class="chart-line"
          x1={placed.at(axis.line)}
          x2={placed.at(axis.line)}
          y1={frame.top}
          y2={frame.bottom}
        />
      )}
      <text x={frame.right} y={frame.bottom + 30} text-anchor="end">
        {axis.title}
      </text>
    </g>
  );
}

/** The vertical axis: ticks, title and reference line. */
export function LeftAxis({ axis, placed, frame }: { axis: Axis; placed: Placed; frame: Frame }) {
  return (
    <g class="chart-axis">
      {placed.ticks.map((tick) => (
        <g key={tick.at}>
          <line class="chart-grid" x1={frame.left} x2={frame.right} y1={tick.at} y2={tick.at} />
          <text x={frame.left - 6} y={tick.at + 4} text-anchor="end">
            {tick.text}
          </text>
        </g>
      ))}
      {axis.line === undefined ? null : (
        <line
          class="chart-line"
          x1={frame.left}
          x2={frame.right}
          y1={placed.at(axis.line)}
          y2={placed.at(axis.line)}
        />
      )}
      <text x={0} y={frame.top - 8}>
        {axis.title}
      </text>
    </g>
  );
}
