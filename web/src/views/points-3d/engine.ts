// Drawing and gestures of the view. They are loaded when points are first shown.

import type { PointStyle, PointTool, PointTurning, SelectHow } from "./api";
import { halfHeight, readCamera, startCamera, writeCamera, zoom, type CameraState } from "./camera";
import { attachControls } from "./controls";
import type { Placed } from "./place";
import { createScene, type SceneStatistics } from "./scene";
import { pointsInside, project, type Eye, type Spot } from "./select";

/** Events of the picture. */
export interface EngineEvents {
  /** A frame was drawn. */
  frame(view: EngineFrame): void;
  hover(point: number | null, spot: Spot | null): void;
  click(point: number | null, spot: Spot, touch: boolean): void;
  open(point: number): void;
  outline(corners: Spot[] | null): void;
  select(points: Uint32Array, how: SelectHow): void;
  /** The camera stopped. */
  rest(camera: string): void;
}

/** Data of a frame, for drawings on top of the picture. */
export interface EngineFrame {
  eye: Eye;
  /** Rotation of the camera, x, y, z, w. */
  turn: readonly number[];
  /** Half of the height of the view at its middle, in units of the box. */
  halfHeight: number;
  target: readonly number[];
}

export interface Engine {
  setPoints(placed: Placed): void;
  setLook(look: Uint8Array): void;
  setStyle(style: PointStyle, chosen: boolean, ring: string): void;
  setFlat(flat: boolean): void;
  setTool(tool: PointTool): void;
  setTurning(turning: PointTurning): void;
  /** Set the camera; text that cannot be read gives the start. */
  setCamera(camera: string): void;
  zoom(factor: number): void;
  spotOf(point: number): Spot | null;
  statistics(): SceneStatistics;
  draw(): void;
  dispose(): void;
}

/**
 * Draw points on a canvas and listen to it.
 *
 * @throws Error if the browser has no WebGL 2
 */
export function createEngine(canvas: HTMLCanvasElement, events: EngineEvents): Engine {
  let placed: Placed | null = null;
  let states = new Uint8Array();
  let flat = false;
  let tool: PointTool = "move";
  let turning: PointTurning = "orbit";
  let camera: CameraState = startCamera(false, 1);
  let started = true;
  let resting = 0;
  let hovering = 0;

  const scene = createScene(canvas, () =>
    events.frame({
      eye: scene.eye(),
      turn: flat ? [0, 0, 0, 1] : camera.turn.toArray(),
      halfHeight: halfHeight(camera),
      target: camera.target.toArray(),
    }),
  );
  const aspect = () => canvas.clientWidth / Math.max(1, canvas.clientHeight);
  const show = (next: CameraState) => {
    camera = next;
    scene.setCamera(camera, flat);
    scene.ask();
  };
  const pick = (spot: Spot) => scene.pick(spot[0], spot[1]);
  const detach = attachControls(canvas, {
    camera: () => camera,
    move: (next) => {
      started = false;
      show(next);
      window.clearTimeout(resting);
      resting = window.setTimeout(() => events.rest(writeCamera(camera)), 350);
    },
    flat: () => flat,
    tool: () => tool,
    turning: () => turning,
    hover: (spot) => {
      cancelAnimationFrame(hovering);
      if (!spot) events.hover(null, null);
      else hovering = requestAnimationFrame(() => events.hover(pick(spot), spot));
    },
    click: (spot, touch) => events.click(pick(spot), spot, touch),
    open: (spot) => {
      const point = pick(spot);
      if (point !== null) events.open(point);
    },
    outline: events.outline,
    select: (corners, { shift, alt }) => {
      if (!placed) return;
      const [first, last] = [corners[0] as Spot, corners.at(-1) as Spot];
      const outline: Spot[] = tool === "rectangle" ? [first, [last[0], first[1]], last, [first[0], last[1]]] : corners;
      const points = pointsInside(placed.positions, states, scene.eye(), outline);
      events.select(points, alt ? "remove" : shift ? "add" : "replace");
    },
  });
  const observer = new ResizeObserver(() => {
    scene.resize(canvas.clientWidth, canvas.clientHeight);
    show(started ? startCamera(flat, aspect(), placed) : camera);
  });
  observer.observe(canvas);
  return {
    setPoints: (next) => {
      placed = next;
      scene.setPoints(next);
      if (started) show(startCamera(flat, aspect(), placed));
    },
    setLook: (look) => {
      states = new Uint8Array(look.length / 4);
      for (let i = 0; i < states.length; i++) states[i] = look[4 * i + 3] as number;
      scene.setLook(look);
      scene.ask();
    },
    setStyle: (style, chosen, ring) => {
      scene.setStyle(style, chosen, ring);
      scene.ask();
    },
    setFlat: (next) => {
      flat = next;
      show(started ? startCamera(flat, aspect(), placed) : camera);
    },
    setTool: (next) => {
      tool = next;
    },
    setTurning: (next) => {
      turning = next;
    },
    setCamera: (text) => {
      const read = text === "" ? null : readCamera(text);
      started = read === null;
      window.clearTimeout(resting);
      show(read ?? startCamera(flat, aspect(), placed));
    },
    zoom: (factor) => {
      started = false;
      show(zoom(camera, factor));
      events.rest(writeCamera(camera));
    },
    spotOf: (point) => {
      if (!placed || point >= placed.n || placed.finite[point] === 0) return null;
      const at = 3 * point;
      const [x, y, z] = [...placed.positions.subarray(at, at + 3)] as [number, number, number];
      return project(scene.eye(), x, y, z);
    },
    statistics: scene.statistics,
    draw: scene.draw,
    dispose: () => {
      window.clearTimeout(resting);
      cancelAnimationFrame(hovering);
      observer.disconnect();
      detach();
      scene.dispose();
    },
  };
}
