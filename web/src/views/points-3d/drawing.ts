// Points in WebGL 2: buffers, and programs that draw discs or numbers.

import { PART, PICK_FRAGMENT, PICK_VERTEX, POINT_FRAGMENT, POINT_VERTEX } from "./shaders";
import type { Matrix } from "./vectors";

/** How points are drawn. */
export interface PointUniforms {
  /** Sizes of the four states, in CSS pixels. */
  sizes: [number, number, number, number];
  opacities: [number, number, number, number];
  /** Distance at which points have their size; 0 if they do not shrink with distance. */
  reach: number;
  /** Colour of the rings of named points, 0 to 1. */
  ring: [number, number, number];
}

/** What a drawing shows. */
export interface Pass {
  view: Matrix;
  clip: Matrix;
  /** Pixels per CSS pixel. */
  ratio: number;
  /** Number of points to draw, from the first. */
  count: number;
  /** Draw the chosen points after the others, in front of them. */
  chosenApart: boolean;
}

export interface PointDrawing {
  setPositions(positions: Float32Array): void;
  setLook(look: Uint8Array): void;
  /** Number of points; 0 until there are positions and a look. */
  count(): number;
  /** Draw on the canvas. */
  paint(pass: Pass, uniforms: PointUniforms, width: number, height: number): void;
  /** Draw the numbers of the points into a square; return its RGBA bytes, from the lower left. */
  pick(pass: Pass, uniforms: PointUniforms): Uint8Array;
  dispose(): void;
}

/**
 * Prepare drawing with a context.
 *
 * @param side side of the square of `pick`, in pixels
 * @throws Error if the shaders cannot be compiled
 */
export function createDrawing(gl: WebGL2RenderingContext, side: number): PointDrawing {
  const discs = program(gl, POINT_VERTEX, POINT_FRAGMENT);
  const numbers = program(gl, PICK_VERTEX, PICK_FRAGMENT);
  const [positions, look] = [gl.createBuffer(), gl.createBuffer()];
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  attribute(gl, positions, 0, 3, gl.FLOAT, false);
  attribute(gl, look, 1, 4, gl.UNSIGNED_BYTE, true);
  const target = pickTarget(gl, side);
  const pixels = new Uint8Array(side * side * 4);
  const lengths = { positions: 0, look: 0 };
  const count = () => Math.min(lengths.positions, lengths.look);
  gl.clearColor(0, 0, 0, 0);
  gl.enable(gl.DEPTH_TEST);
  gl.depthFunc(gl.LEQUAL);
  gl.blendFuncSeparate(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE_MINUS_SRC_ALPHA);

  const draw = (with_: WebGLProgram, pass: Pass, uniforms: PointUniforms) => {
    gl.depthMask(true);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (count() === 0) return;
    const at = (name: string) => gl.getUniformLocation(with_, name);
    gl.useProgram(with_);
    gl.bindVertexArray(array);
    gl.uniformMatrix4fv(at("view"), false, pass.view);
    gl.uniformMatrix4fv(at("clip"), false, pass.clip);
    gl.uniform4fv(at("sizes"), uniforms.sizes);
    gl.uniform1f(at("ratio"), pass.ratio);
    gl.uniform1f(at("reach"), uniforms.reach);
    if (with_ === discs) {
      gl.uniform4fv(at("opacities"), uniforms.opacities);
      gl.uniform3fv(at("ring"), uniforms.ring);
      // Transparent points must not hide the points behind them.
      gl.depthMask(Math.min(uniforms.opacities[1], uniforms.opacities[2]) >= 1);
    }
    const part = (number: number) => {
      gl.uniform1i(at("part"), number);
      gl.drawArrays(gl.POINTS, 0, Math.min(pass.count, count()));
    };
    part(pass.chosenApart ? PART.rest : PART.all);
    if (!pass.chosenApart) return;
    gl.depthMask(true);
    gl.clear(gl.DEPTH_BUFFER_BIT);
    part(PART.chosen);
  };
  return {
    setPositions: (values) => {
      lengths.positions = values.length / 3;
      lengths.look = 0;
      gl.bindBuffer(gl.ARRAY_BUFFER, positions);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    },
    setLook: (values) => {
      lengths.look = values.length / 4;
      gl.bindBuffer(gl.ARRAY_BUFFER, look);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
    },
    count,
    paint: (pass, uniforms, width, height) => {
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
      gl.viewport(0, 0, width, height);
      gl.enable(gl.BLEND);
      draw(discs, pass, uniforms);
    },
    pick: (pass, uniforms) => {
      gl.bindFramebuffer(gl.FRAMEBUFFER, target.frame);
      gl.viewport(0, 0, side, side);
      gl.disable(gl.BLEND);
      draw(numbers, pass, uniforms);
      gl.readPixels(0, 0, side, side, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
      return pixels;
    },
    dispose: () => {
      for (const buffer of [positions, look]) gl.deleteBuffer(buffer);
      for (const used of [discs, numbers]) gl.deleteProgram(used);
      for (const store of target.stores) gl.deleteRenderbuffer(store);
      gl.deleteFramebuffer(target.frame);
      gl.deleteVertexArray(array);
      // Browsers allow few contexts at a time.
      gl.getExtension("WEBGL_lose_context")?.loseContext();
    },
  };
}

function program(gl: WebGL2RenderingContext, vertex: string, fragment: string): WebGLProgram {
  const linked = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]] as const) {
    const shader = gl.createShader(kind);
    if (!shader) throw new Error("no WebGL 2");
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(linked, shader);
    gl.deleteShader(shader);
  }
  gl.bindAttribLocation(linked, 0, "position");
  gl.bindAttribLocation(linked, 1, "look");
  gl.linkProgram(linked);
  if (!gl.getProgramParameter(linked, gl.LINK_STATUS)) {
    throw new Error(`the shaders of the points: ${gl.getProgramInfoLog(linked) ?? "not compiled"}`);
  }
  return linked;
}

function attribute(
  gl: WebGL2RenderingContext,
  buffer: WebGLBuffer,
  place: number,
  width: number,
  type: number,
  normalised: boolean,
): void {
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.enableVertexAttribArray(place);
  gl.vertexAttribPointer(place, width, type, normalised, 0, 0);
}

function pickTarget(gl: WebGL2RenderingContext, side: number) {
  const frame = gl.createFramebuffer();
  gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
  const stores = ([[gl.RGBA8, gl.COLOR_ATTACHMENT0], [gl.DEPTH_COMPONENT24, gl.DEPTH_ATTACHMENT]] as const).map(
    ([format, attachment]) => {
      const store = gl.createRenderbuffer();
      gl.bindRenderbuffer(gl.RENDERBUFFER, store);
      gl.renderbufferStorage(gl.RENDERBUFFER, format, side, side);
      gl.framebufferRenderbuffer(gl.FRAMEBUFFER, attachment, gl.RENDERBUFFER, store);
      return store;
    },
  );
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  return { frame, stores };
}
