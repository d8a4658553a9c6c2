// The camera and its movements. Pure functions.

import { bulk } from "./place";
import { Quaternion, Vector3 } from "./vectors";

/** A camera at `target + turn * (0, 0, distance)` that looks at `target`. */
export interface CameraState {
  target: Vector3;
  turn: Quaternion;
  distance: number;
}

/** Height of the field of view, in degrees. */
export const FIELD = 45;

const NEAREST = 0.01;
const FARTHEST = 40;

/** Return half of the height of the view at the target, in units of the box. */
export function halfHeight(state: CameraState): number {
  return state.distance * Math.tan((FIELD * Math.PI) / 360);
}

/** Share of the picture's half that stays free at each edge. */
const EDGE = 0.08;
/** Points that the first camera is fitted to; more are sampled. */
const FITTED = 20_000;
/** From a little above and the side. */
const OBLIQUE = new Quaternion()
  .setFromAxisAngle(new Vector3(0, 1, 0), 0.5)
  .multiply(new Quaternion().setFromAxisAngle(new Vector3(1, 0, 0), -0.35));

/**
 * Return the first camera: most of the points fill the picture, in 3-D seen from a little above and the side.
 *
 * @param aspect width of the picture by its height
 * @param placed null for the whole box
 */
export function startCamera(flat: boolean, aspect: number, placed: Fitted | null = null): CameraState {
  const turn = flat ? new Quaternion() : OBLIQUE.clone();
  const [right, up, near] = seen(placed, turn);
  if (right.length === 0) return { target: new Vector3(), turn, distance: (flat ? 2.6 : 3.3) * Math.max(1, 1 / Math.max(0.2, aspect)) };
  const [x, y] = [bulk(right), bulk(up)];
  const [cx, cy] = [(x[0] + x[1]) / 2, (y[0] + y[1]) / 2];
  const wide = Math.max(0.2, aspect);
  const scale = (1 + EDGE) / Math.tan((FIELD * Math.PI) / 360);
  const needed = Float32Array.from(right, (at, i) => {
    const half = Math.max(Math.abs((up[i] as number) - cy), Math.abs(at - cx) / wide);
    return half * scale + (flat ? 0 : (near[i] as number));
  });
  const target = new Vector3(cx, cy, 0).applyQuaternion(turn);
  return { target, turn, distance: bounded(Math.max(0.05, bulk(needed)[1])) };
}

/** Points that a camera is fitted to. */
export interface Fitted {
  n: number;
  positions: Float32Array;
  finite: Uint8Array;
}

/** Return coordinates of a sample of the points along the directions of a camera: right, up, towards it. */
function seen(placed: Fitted | null, turn: Quaternion): [Float32Array, Float32Array, Float32Array] {
  const [right, up, near]: number[][] = [[], [], []];
  const back = turn.clone().invert();
  const step = Math.max(1, Math.floor((placed?.n ?? 0) / FITTED));
  for (let i = 0; placed && i < placed.n; i += step) {
    if (placed.finite[i] === 0) continue;
    const at = new Vector3().fromArray(placed.positions, 3 * i).applyQuaternion(back);
    right?.push(at.x);
    up?.push(at.y);
    near?.push(at.z);
  }
  return [Float32Array.from(right ?? []), Float32Array.from(up ?? []), Float32Array.from(near ?? [])];
}

/** Write a camera for a link: target, turn, distance. */
export function writeCamera({ target, turn, distance }: CameraState): string {
  const numbers = [...target.toArray(), ...turn.toArray(), distance];
  return numbers.map((item) => String(Number(item.toFixed(4)))).join(",");
}

/** Read the text of `writeCamera`; null for other text. */
export function readCamera(text: string): CameraState | null {
  const numbers = text.split(",").map((item) => (item.trim() === "" ? Number.NaN : Number(item)));
  if (numbers.length !== 8 || !numbers.every((item) => Number.isFinite(item) && Math.abs(item) < 1e4)) return null;
  const [tx, ty, tz, x, y, z, w, distance] = numbers as [number, number, number, number, number, number, number, number];
  const turn = new Quaternion(x, y, z, w);
  if (turn.length() < 0.1) return null;
  return { target: new Vector3(tx, ty, tz), turn: turn.normalize(), distance: bounded(distance) };
}

function bounded(distance: number): number {
  return Math.min(FARTHEST, Math.max(NEAREST, distance));
}

/** Return the position of the camera. */
export function eye({ target, turn, distance }: CameraState): Vector3 {
  return new Vector3(0, 0, distance).applyQuaternion(turn).add(target);
}

function turned(turn: Quaternion, right: number, up: number, roll: number): Quaternion {
  const about = (x: number, y: number, z: number, angle: number) =>
    new Quaternion().setFromAxisAngle(new Vector3(x, y, z), angle);
  return turn
    .clone()
    .multiply(about(0, 1, 0, right))
    .multiply(about(1, 0, 0, up))
    .multiply(about(0, 0, 1, roll))
    .normalize();
}

/** Turn around the target; angles in radians. */
export function orbit(state: CameraState, right: number, up: number, roll = 0): CameraState {
  return { ...state, turn: turned(state.turn, right, up, roll) };
}

/** Turn the camera at its position. */
export function look(state: CameraState, right: number, up: number): CameraState {
  const from = eye(state);
  const turn = turned(state.turn, right, up, 0);
  const target = from.sub(new Vector3(0, 0, state.distance).applyQuaternion(turn));
  return { ...state, turn, target };
}

/** Move camera and target, in units of the box along the directions of the camera. */
export function fly(state: CameraState, right: number, up: number, forward: number): CameraState {
  const step = new Vector3(right, up, -forward).applyQuaternion(state.turn);
  return { ...state, target: state.target.clone().add(step) };
}

/**
 * Zoom in (factor below 1) or out.
 *
 * @param at position of the cursor relative to the middle, in units of the box: the point there keeps its
 *   place
 */
export function zoom(state: CameraState, factor: number, at: readonly [number, number] = [0, 0]): CameraState {
  const distance = bounded(state.distance * factor);
  const kept = 1 - distance / state.distance;
  return { ...fly(state, at[0] * kept, at[1] * kept, 0), distance };
}
