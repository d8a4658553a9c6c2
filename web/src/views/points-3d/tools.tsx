import { useMemo } from "preact/hooks";
import type { ReadonlySignal } from "@preact/signals";
import type { PointTool, PointTurning } from "./api";
import type { EngineFrame } from "./engine";
import type { SceneStatistics } from "./scene";
import { STATE } from "./shaders";

interface ToolsProps {
  tool: PointTool;
  turning: PointTurning;
  flat: boolean;
  selecting: boolean;
  /** Whether there is a third axis. */
  depth: boolean;
  onTool: (tool: PointTool) => void;
  /** Run the action of a key. */
  onKey: (key: string) => void;
}

/** Buttons in the lower right of the picture. */
export function Tools({ tool, turning, flat, selecting, depth, onTool, onKey }: ToolsProps) {
  return (
    <div class="points-3d-tools" role="toolbar" aria-label="Picture" data-export="no">
      {selecting ? (
        <>
          <button type="button" aria-pressed={tool === "lasso"} title="Select by an outline (L)" onClick={() => onTool("lasso")}>
            Lasso
          </button>
          <button type="button" aria-pressed={tool === "rectangle"} title="Select by a rectangle (B)" onClick={() => onTool("rectangle")}>
            Rectangle
          </button>
        </>
      ) : null}
      {flat ? null : (
        <button type="button" aria-pressed={turning === "look"} title="Dragging turns the camera, not the points (M)" onClick={() => onKey("m")}>
          Look
        </button>
      )}
      {depth ? (
        <button type="button" title="Two or three dimensions (2)" onClick={() => onKey("2")}>
          {flat ? "3-D" : "2-D"}
        </button>
      ) : null}
      <button type="button" title="Back to the start (0)" onClick={() => onKey("0")}>
        Reset
      </button>
      <button type="button" title="Keys (H)" aria-label="Keys" onClick={() => onKey("h")}>
        ?
      </button>
    </div>
  );
}

interface StatisticsProps {
  frame: ReadonlySignal<EngineFrame | null>;
  look: Uint8Array;
  read: () => SceneStatistics | null;
}

/** Statistics of the drawing. */
export function Statistics({ frame, look, read }: StatisticsProps) {
  const counts = useMemo(() => {
    let shown = 0;
    let chosen = 0;
    for (let i = 3; i < look.length; i += 4) {
      if ((look[i] as number) > 0) shown += 1;
      if (look[i] === STATE.chosen) chosen += 1;
    }
    return { shown, chosen, all: look.length / 4 };
  }, [look]);
  void frame.value; // read, so that each frame updates the numbers
  const now = read();
  const rate = now && now.milliseconds > 0 ? `${Math.round(1000 / now.milliseconds)} frames a second` : "";
  return (
    <div class="points-3d-statistics number" data-export="no">
      {counts.shown.toLocaleString("en")} of {counts.all.toLocaleString("en")} points, {counts.chosen.toLocaleString("en")} selected
      <br />
      {rate} {now ? `· ${now.ratio.toFixed(2)} pixels per CSS pixel` : ""}
    </div>
  );
}
