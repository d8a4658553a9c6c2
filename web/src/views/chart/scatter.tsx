import { useMemo } from "preact/hooks";
import type { ScatterProps } from "./api";
import { BottomAxis, LeftAxis } from "./axes";
import { Dots } from "./dots";
import { place } from "./scale";
import { useWidth } from "./width";

/** A scatter plot. */
export function Scatter({ dots, x, y, label, height = 340 }: ScatterProps) {
  const { ref, width } = useWidth();
  const frame = { left: 58, top: 24, right: width - 20, bottom: height - 36 };
  const across = place(x, frame.left, frame.right, width < 520 ? 4 : 8);
  const up = place(y, frame.bottom, frame.top, 6);
  const placed = useMemo(
    () => dots.map((dot) => ({ ...dot, x: across.at(dot.x), y: up.at(dot.y) })),
    [dots, width, height, x.domain[0], x.domain[1], y.domain[0], y.domain[1]],
  );
  return (
    <div class="chart" ref={ref}>
      <svg width={width} height={height} role="group" aria-label={label}>
        <BottomAxis axis={x} placed={across} frame={frame} />
        <LeftAxis axis={y} placed={up} frame={frame} />
        <Dots dots={placed} width={width} height={frame.bottom} label={label} />
      </svg>
    </div>
  );
}
