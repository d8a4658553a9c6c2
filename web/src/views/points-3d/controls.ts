// Movements of the camera by mouse, touch and held keys.

import { fly, halfHeight, look, orbit, zoom, type CameraState } from "./camera";
import type { PointTool, PointTurning } from "./api";
import type { Spot } from "./select";

/** The view that the controls act on. */
export interface ControlHost {
  camera(): CameraState;
  move(camera: CameraState): void;
  flat(): boolean;
  tool(): PointTool;
  turning(): PointTurning;
  hover(spot: Spot | null): void;
  /** @param only pin the preview and do nothing else: a tap or a middle click */
  click(spot: Spot, only: boolean): void;
  open(spot: Spot): void;
  /** An outline is being drawn; null when it ends. */
  outline(corners: Spot[] | null): void;
  /** An outline is complete. */
  select(corners: Spot[], keys: { shift: boolean; alt: boolean }): void;
}

/** Pixels that the pointer may move in a click. */
const STILL = 4;
/** Radians per pixel. */
const TURN = 0.006;

/** Listen to an element; return a function that stops listening. */
export function attachControls(element: HTMLElement, host: ControlHost): () => void {
  const fingers = new Map<number, Spot>();
  let start: Spot | null = null;
  let button = 0;
  let moved = false;
  let corners: Spot[] = [];

  const spotOf = (event: MouseEvent): Spot => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const unit = () => (2 * halfHeight(host.camera())) / Math.max(1, element.clientHeight);
  const pan = (dx: number, dy: number) =>
    host.move(fly(host.camera(), -dx * unit(), dy * unit(), 0));
  const away = (spot: Spot): readonly [number, number] => [
    (spot[0] - element.clientWidth / 2) * unit(),
    (element.clientHeight / 2 - spot[1]) * unit(),
  ];

  const down = (event: PointerEvent) => {
    element.focus({ preventScroll: true });
    element.setPointerCapture(event.pointerId);
    const spot = spotOf(event);
    fingers.set(event.pointerId, spot);
    moved = fingers.size > 1 ? true : false;
    start = spot;
    button = event.button;
    corners = [spot];
  };
  const drag = (event: PointerEvent) => {
    const spot = spotOf(event);
    const before = fingers.get(event.pointerId);
    if (!before || !start) {
      if (event.pointerType !== "touch") host.hover(spot);
      return;
    }
    if (Math.hypot(spot[0] - start[0], spot[1] - start[1]) > STILL) moved = true;
    if (!moved) return;
    host.hover(null);
    if (fingers.size === 2) pinch(event.pointerId, before, spot);
    else if (fingers.size === 1) dragOne(event, before, spot);
    fingers.set(event.pointerId, spot);
  };
  const dragOne = (event: PointerEvent, before: Spot, spot: Spot) => {
    const tool = button === 0 ? host.tool() : "move";
    if (tool !== "move") {
      if (tool === "lasso") corners.push(spot);
      else corners = [corners[0] as Spot, spot];
      host.outline(corners);
      return;
    }
    const [dx, dy] = [spot[0] - before[0], spot[1] - before[1]];
    if (host.flat() || button !== 0 || event.shiftKey) pan(dx, dy);
    else if (host.turning() === "look") host.move(look(host.camera(), dx * TURN * 0.6, dy * TURN * 0.6));
    else host.move(orbit(host.camera(), -dx * TURN, -dy * TURN));
  };
  /** Handle two fingers: their middle pans, their distance zooms, their angle rolls. */
  const pinch = (id: number, before: Spot, spot: Spot) => {
    const second = [...fingers].find(([finger]) => finger !== id)?.[1];
    if (!second) return;
    const was = [before[0] - second[0], before[1] - second[1]] as const;
    const is = [spot[0] - second[0], spot[1] - second[1]] as const;
    pan((spot[0] - before[0]) / 2, (spot[1] - before[1]) / 2);
    const factor = Math.hypot(...was) / Math.max(1, Math.hypot(...is));
    let camera = zoom(host.camera(), factor, away([(spot[0] + second[0]) / 2, (spot[1] + second[1]) / 2]));
    const angle = Math.atan2(is[1], is[0]) - Math.atan2(was[1], was[0]);
    if (!host.flat() && Math.abs(angle) < 1) camera = orbit(camera, 0, 0, angle);
    host.move(camera);
  };
  const up = (event: PointerEvent) => {
    const spot = spotOf(event);
    const wasOne = fingers.size === 1;
    fingers.delete(event.pointerId);
    const tool = host.tool();
    if (wasOne && moved && tool !== "move" && button === 0 && corners.length > 1) {
      host.select(corners, { shift: event.shiftKey, alt: event.altKey });
    } else if (wasOne && !moved && event.type === "pointerup") {
      if (button === 0) host.click(spot, event.pointerType === "touch");
      else if (button === 1) host.click(spot, true);
      else if (button === 2) host.open(spot);
    }
    if (fingers.size === 0) {
      start = null;
      host.outline(null);
    }
  };
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const factor = Math.exp(Math.max(-120, Math.min(120, event.deltaY * lines)) * 0.0016);
    host.move(zoom(host.camera(), factor, away(spotOf(event))));
  };
  const leave = () => host.hover(null);
  // Otherwise the middle button would start to scroll.
  const press = (event: MouseEvent) => event.button === 1 && event.preventDefault();
  const menu = (event: Event) => event.preventDefault();
  const double = (event: MouseEvent) => host.open(spotOf(event));

  const listeners: [string, (event: never) => void][] = [
    ["pointerdown", down],
    ["pointermove", drag],
    ["pointerup", up],
    ["pointercancel", up],
    ["pointerleave", leave],
    ["wheel", wheel],
    ["contextmenu", menu],
    ["mousedown", press],
    ["dblclick", double],
  ];
  for (const [name, listener] of listeners) {
    element.addEventListener(name, listener as EventListener, { passive: false });
  }
  const stopKeys = attachHeldKeys(element, host);
  return () => {
    stopKeys();
    for (const [name, listener] of listeners) element.removeEventListener(name, listener as EventListener);
  };
}

type Step = readonly [right: number, up: number, forward: number, turnRight: number, turnUp: number, roll: number];

/** Movements of held keys per second, in units of the box and radians. */
const HELD: Record<string, Step> = {
  KeyW: [0, 0, 1, 0, 0, 0],
  KeyS: [0, 0, -1, 0, 0, 0],
  KeyA: [-1, 0, 0, 0, 0, 0],
  KeyD: [1, 0, 0, 0, 0, 0],
  KeyR: [0, 1, 0, 0, 0, 0],
  KeyF: [0, -1, 0, 0, 0, 0],
  KeyQ: [0, 0, 0, 0, 0, 1],
  KeyE: [0, 0, 0, 0, 0, -1],
  ArrowLeft: [0, 0, 0, 1, 0, 0],
  ArrowRight: [0, 0, 0, -1, 0, 0],
  ArrowUp: [0, 0, 0, 0, 1, 0],
  ArrowDown: [0, 0, 0, 0, -1, 0],
};

function attachHeldKeys(element: HTMLElement, host: ControlHost): () => void {
  const held = new Set<string>();
  let fast = false;
  let last = 0;
  let frame = 0;
  const step = (now: number) => {
    const seconds = Math.min(0.1, (now - last) / 1000);
    last = now;
    const sum = [0, 0, 0, 0, 0, 0];
    for (const code of held) HELD[code]?.forEach((speed, i) => (sum[i] = (sum[i] as number) + speed));
    const [right, up, forward, turnRight, turnUp, roll] = sum as unknown as Step;
    host.move(stepped(host, [right, up, forward, turnRight, turnUp, roll], seconds * (fast ? 4 : 1)));
    frame = held.size > 0 ? requestAnimationFrame(step) : 0;
  };
  const down = (event: KeyboardEvent) => {
    fast = event.shiftKey;
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.code in HELD)) return;
    event.preventDefault();
    held.add(event.code);
    if (frame === 0) {
      last = performance.now();
      frame = requestAnimationFrame(step);
    }
  };
  const up = (event: KeyboardEvent) => {
    fast = event.shiftKey;
    held.delete(event.code);
  };
  const blur = () => held.clear();
  element.addEventListener("keydown", down);
  element.addEventListener("keyup", up);
  element.addEventListener("blur", blur);
  return () => {
    cancelAnimationFrame(frame);
    element.removeEventListener("keydown", down);
    element.removeEventListener("keyup", up);
    element.removeEventListener("blur", blur);
  };
}

function stepped(host: ControlHost, step: Step, seconds: number): CameraState {
  const [right, up, forward, turnRight, turnUp, roll] = step;
  const camera = host.camera();
  const reach = Math.max(0.15, camera.distance * 0.5) * seconds;
  if (host.flat()) {
    const moved = fly(camera, (right - turnRight) * reach, (up + turnUp) * reach, 0);
    return zoom(moved, Math.exp(-forward * seconds));
  }
  const moved = fly(camera, right * reach, up * reach, forward * reach);
  if (host.turning() === "look") return orbit(look(moved, turnRight * seconds, turnUp * seconds), 0, 0, roll * seconds);
  return orbit(moved, -turnRight * seconds * 1.5, -turnUp * seconds * 1.5, roll * seconds * 1.5);
}
