// The points on the graphics card: drawing and picking. Slow pictures are coarser while they move.

import { rgb } from "../pattern-canvas/colour-map";
import type { PointStyle } from "./api";
import { eye, FIELD, halfHeight, type CameraState } from "./camera";
import { createDrawing, type PointUniforms } from "./drawing";
import { nearestPick, REACH, SIDE } from "./pick";
import { createPace } from "./pace";
import type { Placed } from "./place";
import type { Eye } from "./select";
import { multiply, orthographic, partOf, perspective, viewMatrix, Quaternion, Vector3 } from "./vectors";

/** Statistics of the drawing. */
export interface SceneStatistics {
  milliseconds: number;
  /** Pixels per CSS pixel. */
  ratio: number;
}

export interface PointScene {
  setPoints(placed: Placed): void;
  /** Red, green, blue and state of every point. */
  setLook(look: Uint8Array): void;
  setStyle(style: PointStyle, chosen: boolean, ring: string): void;
  setCamera(camera: CameraState, flat: boolean): void;
  resize(width: number, height: number): void;
  /** Draw in the next frame. */
  ask(): void;
  /** Draw now, in full. */
  draw(): void;
  pick(x: number, y: number): number | null;
  eye(): Eye;
  statistics(): SceneStatistics;
  dispose(): void;
}

/**
 * Create a scene on a canvas.
 *
 * @param onFrame called after each drawing
 * @throws Error if the browser has no WebGL 2
 */
export function createScene(canvas: HTMLCanvasElement, onFrame: () => void): PointScene {
  const gl = canvas.getContext("webgl2", { alpha: true, antialias: false, powerPreference: "high-performance" });
  if (!gl) throw new Error("no WebGL 2");
  const drawing = createDrawing(gl, SIDE);
  const uniforms: PointUniforms = { sizes: [0, 3, 3, 9], opacities: [0, 1, 1, 1], reach: 0, ring: [0, 0, 0] };
  const pace = createPace();
  let aimed: (aspect: number) => Aimed = () => ({ view: IDENTITY, clip: IDENTITY });
  let size = { width: 1, height: 1 };
  let drawnRatio = 1;
  let selecting = false;
  let waiting = 0;
  let settling = 0;
  let asked = false;
  let coarse = false;
  let started = 0;
  let fence: WebGLSync | null = null;

  const now = () => aimed(size.width / size.height);
  const paint = (ratio: number, share: number) => {
    const [width, height] = [Math.floor(size.width * ratio), Math.floor(size.height * ratio)];
    // A new size clears the canvas, even if it is the old one.
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    drawnRatio = ratio;
    const count = Math.ceil(share * drawing.count());
    drawing.paint({ ...now(), ratio, count, chosenApart: selecting }, uniforms, width, height);
    onFrame();
  };
  /** Draw one frame at a time: queued frames would be shown late. */
  const frame = () => {
    waiting = 0;
    if (fence) {
      if (gl.clientWaitSync(fence, 0, 0) === gl.TIMEOUT_EXPIRED) {
        waiting = requestAnimationFrame(frame);
        return;
      }
      gl.deleteSync(fence);
      fence = null;
      pace.note(performance.now() - started);
    }
    if (!asked) {
      // When the movement ends, the picture is drawn in full.
      if (coarse) settling = window.setTimeout(() => paint(pace.full(), 1), 200);
      coarse = false;
      return;
    }
    asked = false;
    started = performance.now();
    coarse = pace.coarse();
    paint(pace.ratio(), pace.points());
    fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    waiting = requestAnimationFrame(frame);
  };
  return {
    setPoints: ({ positions }) => drawing.setPositions(positions),
    setLook: drawing.setLook,
    setStyle: (style, chosen, ring) => {
      selecting = chosen;
      const { size: large, opacity, restSize, restOpacity } = style;
      const rest = chosen ? restSize : large;
      const faint = chosen ? restOpacity : opacity;
      uniforms.sizes = [0, rest, large, Math.max(11, large + 5)];
      uniforms.opacities = [0, faint, opacity, 1];
      uniforms.ring = shares(ring);
    },
    setCamera: (state, flat) => {
      uniforms.reach = flat ? 0 : state.distance;
      aimed = (aspect) => aim(state, flat, aspect);
    },
    resize: (width, height) => {
      size = { width: Math.max(1, width), height: Math.max(1, height) };
    },
    ask: () => {
      asked = true;
      window.clearTimeout(settling);
      if (waiting === 0) waiting = requestAnimationFrame(frame);
    },
    draw: () => paint(pace.full(), 1),
    pick: (x, y) => {
      if (drawing.count() === 0) return null;
      const { view, clip } = now();
      const part = partOf(clip, size.width, size.height, Math.round(x) - REACH, Math.round(y) - REACH, SIDE);
      return nearestPick(drawing.pick({ view, clip: part, ratio: 1, count: drawing.count(), chosenApart: selecting }, uniforms));
    },
    eye: () => {
      const { view, clip } = now();
      return { matrix: multiply(clip, view), width: size.width, height: size.height };
    },
    statistics: () => ({ milliseconds: pace.milliseconds(), ratio: drawnRatio }),
    dispose: () => {
      cancelAnimationFrame(waiting);
      window.clearTimeout(settling);
      drawing.dispose();
    },
  };
}

interface Aimed {
  /** World to camera. */
  view: number[];
  /** Camera to clip space. */
  clip: number[];
}

const IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];

function aim(state: CameraState, flat: boolean, aspect: number): Aimed {
  if (!flat) return { view: viewMatrix(eye(state), state.turn), clip: perspective(FIELD, aspect, 0.005, 200) };
  const up = halfHeight(state);
  const place = new Vector3(state.target.x, state.target.y, 0);
  return { view: viewMatrix(place, new Quaternion()), clip: orthographic(up * aspect, up, -100, 100) };
}

/** Red, green and blue of a colour of the style sheet, 0 to 1. */
function shares(css: string): [number, number, number] {
  const [red, green, blue] = rgb(css);
  return [red / 255, green / 255, blue / 255];
}
