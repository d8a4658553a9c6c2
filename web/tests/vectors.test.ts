import { describe, expect, it } from "vitest";
import { generator } from "../src/state/random";
import { project } from "../src/views/points-3d/select";
import { multiply, orthographic, partOf, perspective, Quaternion, Vector3, viewMatrix } from "../src/views/points-3d/vectors";

const random = generator(11);
const vector = () => new Vector3(2 * random() - 1, 2 * random() - 1, 2 * random() - 1);
const direction = () => {
  const [x, y, z] = vector().toArray();
  const length = Math.hypot(x, y, z);
  return new Vector3(x / length, y / length, z / length);
};
const close = (a: Vector3, b: Vector3) => a.toArray().forEach((number, i) => expect(number).toBeCloseTo(b.toArray()[i] as number, 9));

/** Rodrigues' formula. */
function rotated(v: Vector3, k: Vector3, angle: number): Vector3 {
  const dot = v.x * k.x + v.y * k.y + v.z * k.z;
  const cross = [k.y * v.z - k.z * v.y, k.z * v.x - k.x * v.z, k.x * v.y - k.y * v.x] as const;
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return new Vector3(
    v.x * c + cross[0] * s + k.x * dot * (1 - c),
    v.y * c + cross[1] * s + k.y * dot * (1 - c),
    v.z * c + cross[2] * s + k.z * dot * (1 - c),
  );
}

describe("rotations", () => {
  it("turn about an axis, compose and are turned back", () => {
    for (let i = 0; i < 50; i++) {
      const [a, b, v] = [direction(), direction(), vector()];
      const [alpha, beta] = [7 * random() - 3.5, 7 * random() - 3.5];
      const [first, second] = [new Quaternion().setFromAxisAngle(a, alpha), new Quaternion().setFromAxisAngle(b, beta)];
      close(v.clone().applyQuaternion(first), rotated(v, a, alpha));
      const both = second.clone().multiply(first).normalize();
      close(v.clone().applyQuaternion(both), rotated(rotated(v, a, alpha), b, beta));
      close(v.clone().applyQuaternion(both).applyQuaternion(both.clone().invert()), v);
    }
    expect(new Quaternion(0, 0, 0, 0).normalize().toArray()).toEqual([0, 0, 0, 1]);
  });
});

describe("projections", () => {
  it("show what is in front of the camera in the middle, and what is beside it beside", () => {
    for (let i = 0; i < 20; i++) {
      const [place, turn] = [vector(), new Quaternion().setFromAxisAngle(direction(), 3 * random())];
      const axis = (x: number, y: number, z: number) => new Vector3(x, y, z).applyQuaternion(turn).add(place);
      const clip = multiply(perspective(90, 2, 0.01, 100), viewMatrix(place, turn));
      const eye = { matrix: clip, width: 200, height: 100 };
      const spot = (at: Vector3) => project(eye, at.x, at.y, at.z) as [number, number];
      const middle = spot(axis(0, 0, -3));
      expect(middle[0]).toBeCloseTo(100, 6);
      expect(middle[1]).toBeCloseTo(50, 6);
      // At 90 degrees, the upper edge is as far up as forward.
      expect(spot(axis(0, 2, -2))[1]).toBeCloseTo(0, 6);
      expect(spot(axis(4, 0, -2))[0]).toBeCloseTo(200, 6);
      const behind = axis(0, 0, 1);
      expect(project(eye, behind.x, behind.y, behind.z)).toBeNull();
      const flat = multiply(orthographic(4, 2, -100, 100), viewMatrix(place, turn));
      const corner = axis(4, 2, -9);
      const flatSpot = project({ ...eye, matrix: flat }, corner.x, corner.y, corner.z) as [number, number];
      expect(flatSpot[0]).toBeCloseTo(200, 6);
      expect(flatSpot[1]).toBeCloseTo(0, 6);
      const seen = axis(0.5, -0.3, -2);
      const [x, y] = spot(seen);
      const part = { matrix: partOf(clip, 200, 100, 90, 40, 19), width: 19, height: 19 };
      const within = project(part, seen.x, seen.y, seen.z) as [number, number];
      expect(within[0]).toBeCloseTo(x - 90, 6);
      expect(within[1]).toBeCloseTo(y - 40, 6);
    }
  });
});
