// Shaders that draw points as discs. Colours are bytes of the style sheet and are not converted, so that
// a point has exactly the colour of the legend.

/** State of a point, in the fourth byte of its look. */
export const STATE = { hidden: 0, rest: 1, chosen: 2, named: 3 } as const;

/** Points that a pass draws. */
export const PART = { all: 0, rest: 1, chosen: 2 } as const;

const HEAD = `#version 300 es
precision highp float;
precision highp int;
`;

const PLACE = `
in vec3 position;
in vec4 look;
uniform mat4 view;
uniform mat4 clip;
uniform vec4 sizes;
uniform float ratio;
uniform float reach;
uniform int part;

// Size in pixels; 0 if this pass does not draw the point.
float placePoint(int state) {
  bool chosen = state >= 2;
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = 0.0;
  if (state == 0 || (part == 1 && chosen) || (part == 2 && !chosen)) return 0.0;
  vec4 seen = view * vec4(position, 1.0);
  gl_Position = clip * seen;
  float near = reach > 0.0 ? clamp(reach / max(1e-4, -seen.z), 0.4, 4.0) : 1.0;
  float size = clamp(sizes[state] * near * ratio, 1.0, 64.0);
  gl_PointSize = size;
  return size;
}
`;

export const POINT_VERTEX = `${HEAD}
${PLACE}
uniform vec4 opacities;
out vec4 colour;
flat out float pixels;
flat out float ringed;

void main() {
  int state = int(look.a * 255.0 + 0.5);
  pixels = placePoint(state);
  colour = vec4(look.rgb, opacities[state]);
  ringed = state == 3 ? 1.0 : 0.0;
}
`;

export const POINT_FRAGMENT = `${HEAD}
uniform vec3 ring;
in vec4 colour;
flat in float pixels;
flat in float ringed;
out vec4 result;

void main() {
  float radius = length(gl_PointCoord - 0.5) * pixels;
  float edge = clamp(pixels * 0.5 - radius + 0.5, 0.0, 1.0);
  if (pixels > 2.5 && edge <= 0.0) discard;
  float cover = pixels > 2.5 ? edge : 1.0;
  float rim = ringed * clamp(radius - pixels * 0.5 + 2.5, 0.0, 1.0);
  result = vec4(mix(colour.rgb, ring, rim), colour.a * cover);
}
`;

export const PICK_VERTEX = `${HEAD}
${PLACE}
flat out vec3 code;
flat out float pixels;

void main() {
  pixels = placePoint(int(look.a * 255.0 + 0.5));
  int id = gl_VertexID + 1;
  code = vec3(float(id & 255), float((id >> 8) & 255), float((id >> 16) & 255)) / 255.0;
}
`;

export const PICK_FRAGMENT = `${HEAD}
flat in vec3 code;
flat in float pixels;
out vec4 result;

void main() {
  if (pixels > 2.5 && length(gl_PointCoord - 0.5) > 0.5) discard;
  result = vec4(code, 1.0);
}
`;
