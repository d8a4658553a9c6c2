// The points on the graphics card: drawing and picking. Slow pictures are coarser while they move.

import {
  BufferAttribute,
  BufferGeometry,
  Color,
  GLSL3,
  NoColorSpace,
  NormalBlending,
  OrthographicCamera,
  PerspectiveCamera,
  Points,
  Scene,
  ShaderMaterial,
  Vector3,
  Vector4,
  WebGLRenderer,
  WebGLRenderTarget,
  type Camera,
} from "three";
import { rgb } from "../pattern-canvas/colour-map";
import type { PointStyle } from "./api";
import { eye, FIELD, halfHeight, type CameraState } from "./camera";
import { nearestPick, REACH, SIDE } from "./pick";
import { createPace } from "./pace";
import type { Placed } from "./place";
import type { Eye } from "./select";
import { PART, PICK_FRAGMENT, PICK_VERTEX, POINT_FRAGMENT, POINT_VERTEX } from "./shaders";

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
  const renderer = new WebGLRenderer({ canvas, context: gl });
  renderer.setClearColor(new Color(0, 0, 0), 0);
  renderer.autoClear = false;
  const uniforms = pointUniforms();
  const material = pointMaterial(uniforms, POINT_VERTEX, POINT_FRAGMENT, true);
  const picking = pointMaterial(uniforms, PICK_VERTEX, PICK_FRAGMENT, false);
  const geometry = new BufferGeometry();
  const points = new Points(geometry, material);
  points.frustumCulled = false;
  const scene = new Scene();
  scene.add(points);
  const target = new WebGLRenderTarget(SIDE, SIDE, { colorSpace: NoColorSpace });
  const pixels = new Uint8Array(SIDE * SIDE * 4);
  const cameras = { deep: new PerspectiveCamera(FIELD, 1, 0.005, 200), flat: new OrthographicCamera() };
  const pace = createPace();
  let camera: PerspectiveCamera | OrthographicCamera = cameras.deep;
  let size = { width: 1, height: 1 };
  let selecting = false;
  let waiting = 0;
  let settling = 0;
  let asked = false;
  let coarse = false;
  let started = 0;
  let fence: WebGLSync | null = null;

  const pass = (part: number, clearDepth: boolean) => {
    uniforms.part.value = part;
    if (clearDepth) renderer.clearDepth();
    renderer.render(scene, camera);
  };
  const paint = (ratio: number, share: number) => {
    if (renderer.getPixelRatio() !== ratio) renderer.setPixelRatio(ratio);
    uniforms.ratio.value = ratio;
    renderer.setRenderTarget(null);
    renderer.clear();
    if (geometry.getAttribute("look")) {
      geometry.setDrawRange(0, Math.ceil(share * geometry.getAttribute("position").count));
      pass(selecting ? PART.rest : PART.all, false);
      if (selecting) pass(PART.chosen, true);
    }
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
    setPoints: ({ positions }) => {
      // The attributes of a geometry may not change their length, so the old buffers are freed.
      geometry.dispose();
      geometry.deleteAttribute("look");
      geometry.setAttribute("position", new BufferAttribute(positions, 3));
    },
    setLook: (look) => {
      const old = geometry.getAttribute("look") as BufferAttribute | undefined;
      if (old && old.array.length === look.length) {
        (old.array as Uint8Array).set(look);
        old.needsUpdate = true;
      } else geometry.setAttribute("look", new BufferAttribute(Uint8Array.from(look), 4, true));
    },
    setStyle: (style, chosen, ring) => {
      selecting = chosen;
      const { size: large, opacity, restSize, restOpacity } = style;
      const rest = chosen ? restSize : large;
      const faint = chosen ? restOpacity : opacity;
      uniforms.sizes.value.set(0, rest, large, Math.max(11, large + 5));
      uniforms.opacities.value.set(0, faint, opacity, 1);
      uniforms.ring.value.set(...shares(ring));
      // Transparent points must not hide the points behind them.
      material.depthWrite = Math.min(faint, opacity) >= 1;
    },
    setCamera: (state, flat) => {
      camera = flat ? cameras.flat : cameras.deep;
      uniforms.reach.value = flat ? 0 : state.distance;
      aim(camera, state, size.width / size.height);
    },
    resize: (width, height) => {
      size = { width: Math.max(1, width), height: Math.max(1, height) };
      renderer.setSize(size.width, size.height, false);
    },
    ask: () => {
      asked = true;
      window.clearTimeout(settling);
      if (waiting === 0) waiting = requestAnimationFrame(frame);
    },
    draw: () => paint(pace.full(), 1),
    pick: (x, y) => {
      if (!geometry.getAttribute("look")) return null;
      camera.setViewOffset(size.width, size.height, Math.round(x) - REACH, Math.round(y) - REACH, SIDE, SIDE);
      uniforms.ratio.value = 1;
      geometry.setDrawRange(0, Infinity);
      points.material = picking;
      renderer.setRenderTarget(target);
      renderer.clear();
      pass(selecting ? PART.rest : PART.all, false);
      if (selecting) pass(PART.chosen, true);
      renderer.readRenderTargetPixels(target, 0, 0, SIDE, SIDE, pixels);
      renderer.setRenderTarget(null);
      points.material = material;
      camera.clearViewOffset();
      return nearestPick(pixels);
    },
    eye: () => ({ matrix: worldToClip(camera), width: size.width, height: size.height }),
    statistics: () => ({ milliseconds: pace.milliseconds(), ratio: renderer.getPixelRatio() }),
    dispose: () => {
      cancelAnimationFrame(waiting);
      window.clearTimeout(settling);
      for (const resource of [geometry, material, picking, target, renderer]) resource.dispose();
      // Browsers allow few contexts at a time.
      renderer.forceContextLoss();
    },
  };
}

/** Red, green and blue of a colour of the style sheet, 0 to 1. */
function shares(css: string): [number, number, number] {
  const [red, green, blue] = rgb(css);
  return [red / 255, green / 255, blue / 255];
}

function pointUniforms() {
  return {
    sizes: { value: new Vector4(0, 3, 3, 9) },
    opacities: { value: new Vector4(0, 1, 1, 1) },
    ratio: { value: 1 },
    reach: { value: 0 },
    part: { value: 0 },
    ring: { value: new Vector3() },
  };
}

function pointMaterial(
  uniforms: ReturnType<typeof pointUniforms>,
  vertexShader: string,
  fragmentShader: string,
  transparent: boolean,
): ShaderMaterial {
  return new ShaderMaterial({
    uniforms,
    vertexShader,
    fragmentShader,
    glslVersion: GLSL3,
    transparent,
    ...(transparent ? { blending: NormalBlending } : {}),
  });
}

function aim(camera: PerspectiveCamera | OrthographicCamera, state: CameraState, aspect: number): void {
  if (camera instanceof PerspectiveCamera) {
    camera.aspect = aspect;
    camera.position.copy(eye(state));
    camera.quaternion.copy(state.turn);
  } else {
    const up = halfHeight(state);
    camera.left = -up * aspect;
    camera.right = up * aspect;
    camera.top = up;
    camera.bottom = -up;
    camera.near = -100;
    camera.far = 100;
    camera.position.set(state.target.x, state.target.y, 0);
    camera.quaternion.identity();
  }
  camera.updateProjectionMatrix();
  camera.updateMatrixWorld();
}

function worldToClip(camera: Camera): number[] {
  return camera.projectionMatrix.clone().multiply(camera.matrixWorldInverse).toArray();
}
