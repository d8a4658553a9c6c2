import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ReadonlySignal } from "@preact/signals";
import type { EngineFrame } from "./engine";
import type { Spot } from "./select";

/** The point under the cursor. */
export interface Hovered {
  point: number;
  spot: Spot;
  /** Whether it stays until the next click. */
  pinned: boolean;
}

interface PreviewProps {
  hovered: Hovered;
  frame: ReadonlySignal<EngineFrame | null>;
  onClose: () => void;
  children: ComponentChildren;
}

/** A card next to the point; in narrow pictures at the lower edge. */
export function Preview({ hovered, frame, onClose, children }: PreviewProps) {
  const { spot, pinned } = hovered;
  const { width, height } = frame.value?.eye ?? { width: 0, height: 0 };
  const [x, y] = [Math.min(width, Math.max(0, spot[0])), Math.min(height, Math.max(0, spot[1]))];
  const card = useRef<HTMLDivElement>(null);
  const [tall, setTall] = useState(0);
  // Its content may load later and make it taller.
  useLayoutEffect(() => {
    const element = card.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setTall(element.offsetHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const side = x > width / 2 ? { right: `${width - x + 16}px` } : { left: `${x + 16}px` };
  const edge = { top: `${Math.max(4, Math.min(y - 24, height - tall - 4))}px` };
  return (
    <>
      <svg class="points-3d-overlay" width={width} height={height} aria-hidden="true" data-export="no">
        <circle class="points-3d-cursor" cx={spot[0]} cy={spot[1]} r={8} />
      </svg>
      <div
        ref={card}
        class="points-3d-preview"
        role="status"
        data-pinned={pinned}
        data-export="no"
        style={width < 560 ? {} : { ...side, ...edge }}
        data-narrow={width < 560}
      >
        {pinned ? (
          <button type="button" class="quiet points-3d-close" aria-label="Close the preview" onClick={onClose}>
            ✕
          </button>
        ) : null}
        {children}
      </div>
    </>
  );
}
