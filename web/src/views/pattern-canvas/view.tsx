import "./view.css";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Pattern } from "../../data/patterns";
import { map, scale, sink } from "../../state/params";
import type { PatternCanvasProps, PatternStyle } from "./api";
import { frame } from "./frame";
import { patternPixels, stripPixels, type Pixels } from "./image";

/** Return the style in the link: parameters `scale`, `map` and `sink`. */
export function linkedStyle(): PatternStyle {
  return { scale: scale.value, map: map.value, sink: sink.value };
}

/** A picture of a pattern; with the first token set apart, its strip is at the left. */
export function PatternCanvas({ pattern, size, label, style }: PatternCanvasProps) {
  const drawn = { ...linkedStyle(), ...style };
  const { strip, left, side } = frame(size, drawn.sink);
  const square = { pattern, draw: patternPixels, style: drawn, width: side, height: side };
  if (strip === 0) return <Layer {...square} left={0} label={label} />;
  return (
    <div class="pattern-apart" role="img" aria-label={label} style={{ width: `${size}px`, height: `${size}px` }}>
      <Layer {...square} left={left} />
      <Layer {...square} draw={stripPixels} width={strip} left={0} />
    </div>
  );
}

interface LayerProps {
  pattern: Pattern;
  draw: (pattern: Pattern, style: PatternStyle, most: number) => Pixels;
  style: PatternStyle;
  left: number;
  width: number;
  height: number;
  label?: string;
}

function Layer({ pattern, draw, style, left, width, height, label }: LayerProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const most = Math.max(1, Math.round(height * window.devicePixelRatio));
    const pixels = draw(pattern, style, most);
    element.width = pixels.width;
    element.height = pixels.height;
    // Few large cells are drawn sharp; many small ones are smoothed.
    element.dataset["crisp"] = String(most >= 3 * pixels.height);
    if (pixels.width > 0) context.putImageData(new ImageData(pixels.data, pixels.width, pixels.height), 0, 0);
  }, [pattern, draw, height, style.scale, style.map, style.sink]);
  const place = { left: `${left}px`, width: `${width}px`, height: `${height}px` };
  const named = label === undefined ? {} : ({ role: "img", "aria-label": label } as const);
  return <canvas ref={canvas} class="pattern-canvas" {...named} style={place} />;
}
