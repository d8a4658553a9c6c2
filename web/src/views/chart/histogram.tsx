import type { HistogramProps } from "./api";
import { BottomAxis } from "./axes";
import { figure, place } from "./scale";
import { useWidth } from "./width";

/** A histogram. */
export function Histogram(props: HistogramProps) {
  const { counts, low, high, title, label, height = 170, marks = [] } = props;
  const { ref, width } = useWidth();
  const most = Math.max(1, ...counts);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const frame = { left: 14, top: 16, right: width - 14, bottom: height - 36 };
  // A constant has no range: its bar is in the middle.
  const domain: [number, number] = high > low ? [low, high] : [low - 0.5, low + 0.5];
  const axis = { title, domain, exact: true };
  const x = place(axis, frame.left, frame.right, width < 420 ? 4 : 8);
  const step = (frame.right - frame.left) / Math.max(1, counts.length);
  const edge = (index: number) => domain[0] + ((domain[1] - domain[0]) * index) / counts.length;
  return (
    <div class="chart" ref={ref}>
      <svg width={width} height={height} role="img" aria-label={`${label}: ${total} values`}>
        <BottomAxis axis={axis} placed={x} frame={frame} />
        {counts.map((count, index) => {
          const tall = ((frame.bottom - frame.top) * count) / most;
          return (
            <rect
              key={index}
              class="chart-bar"
              x={frame.left + step * index}
              width={Math.max(1, step - 1)}
              y={frame.bottom - tall}
              height={tall}
            >
              <title>
                {`${figure(edge(index))} to ${figure(edge(index + 1))}: ${count} of ${total}`}
              </title>
            </rect>
          );
        })}
        {marks
          .filter((mark) => mark.value >= domain[0] && mark.value <= domain[1])
          .map((mark) => (
            <g key={mark.title}>
              <line class="chart-mark" x1={x.at(mark.value)} x2={x.at(mark.value)} y1={frame.top} y2={frame.bottom} />
              <text
                class="chart-note"
                x={x.at(mark.value)}
                y={11}
                text-anchor={x.at(mark.value) > width - 40 ? "end" : x.at(mark.value) < 40 ? "start" : "middle"}
              >
                {mark.title}
              </text>
            </g>
          ))}
      </svg>
    </div>
  );
}
