import "./view.css";
import { useLayoutEffect, useRef } from "preact/hooks";
import { map, scale, sink } from "../../state/params";
import type { PatternCanvasProps, PatternStyle } from "./api";
import { patternPixels } from "./image";

/** Return the style in the link: parameters `scale`, `map` and `sink`. */
export function linkedStyle(): PatternStyle {
  return { scale: scale.value, map: map.value, sinkHidden: sink.value === "hidden" };
}

/** A picture of a pattern. */
export function PatternCanvas({ pattern, size, label, style }: PatternCanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawn = { ...linkedStyle(), ...style };
  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const most = Math.max(1, Math.round(size * window.devicePixelRatio));
    const { side, data } = patternPixels(pattern, drawn, most);
    element.width = side;
    element.height = side;
    // Few large cells are drawn sharp; many small ones are smoothed.
    element.dataset["crisp"] = String(most >= 3 * side);
    if (side > 0) context.putImageData(new ImageData(data, side, side), 0, 0);
  }, [pattern, size, drawn.scale, drawn.map, drawn.sinkHidden]);
  return (
    <canvas
      ref={canvas}
      class="pattern-canvas"
      role="img"
      aria-label={label}
      style={{ width: `${size}px`, height: `${size}px` }}
    />
  );
}
