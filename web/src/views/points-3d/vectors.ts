// Vectors and rotations of the camera. Methods change the object and return it, but for `clone`.

/** A point or direction. */
export class Vector3 {
  constructor(
    public x = 0,
    public y = 0,
    public z = 0,
  ) {}

  clone(): Vector3 {
    return new Vector3(this.x, this.y, this.z);
  }

  set(x: number, y: number, z: number): this {
    [this.x, this.y, this.z] = [x, y, z];
    return this;
  }

  fromArray(numbers: ArrayLike<number>, at = 0): this {
    return this.set(numbers[at] as number, numbers[at + 1] as number, numbers[at + 2] as number);
  }

  toArray(): [number, number, number] {
    return [this.x, this.y, this.z];
  }

  add({ x, y, z }: Vector3): this {
    return this.set(this.x + x, this.y + y, this.z + z);
  }

  sub({ x, y, z }: Vector3): this {
    return this.set(this.x - x, this.y - y, this.z - z);
  }

  /** Rotate by a quaternion of length 1. */
  applyQuaternion({ x: qx, y: qy, z: qz, w: qw }: Quaternion): this {
    const { x, y, z } = this;
    // v + 2 w (q x v) + 2 q x (q x v), with q the vector part.
    const [tx, ty, tz] = [2 * (qy * z - qz * y), 2 * (qz * x - qx * z), 2 * (qx * y - qy * x)];
    return this.set(
      x + qw * tx + qy * tz - qz * ty,
      y + qw * ty + qz * tx - qx * tz,
      z + qw * tz + qx * ty - qy * tx,
    );
  }
}

/** A rotation. */
export class Quaternion {
  constructor(
    public x = 0,
    public y = 0,
    public z = 0,
    public w = 1,
  ) {}

  clone(): Quaternion {
    return new Quaternion(this.x, this.y, this.z, this.w);
  }

  set(x: number, y: number, z: number, w: number): this {
    [this.x, this.y, this.z, this.w] = [x, y, z, w];
    return this;
  }

  toArray(): [number, number, number, number] {
    return [this.x, this.y, this.z, this.w];
  }

  length(): number {
    return Math.hypot(this.x, this.y, this.z, this.w);
  }

  normalize(): this {
    const length = this.length();
    return length === 0 ? this.set(0, 0, 0, 1) : this.set(this.x / length, this.y / length, this.z / length, this.w / length);
  }

  /** Turn back what a rotation of length 1 turns. */
  invert(): this {
    return this.set(-this.x, -this.y, -this.z, this.w);
  }

  /** Turn about an axis of length 1; the angle is in radians. */
  setFromAxisAngle({ x, y, z }: Vector3, angle: number): this {
    const sine = Math.sin(angle / 2);
    return this.set(x * sine, y * sine, z * sine, Math.cos(angle / 2));
  }

  /** Turn by another rotation first, then by this one. */
  multiply({ x: bx, y: by, z: bz, w: bw }: Quaternion): this {
    const { x, y, z, w } = this;
    return this.set(
      x * bw + w * bx + y * bz - z * by,
      y * bw + w * by + z * bx - x * bz,
      z * bw + w * bz + x * by - y * bx,
      w * bw - x * bx - y * by - z * bz,
    );
  }
}

/** A 4 x 4 matrix, column by column. */
export type Matrix = readonly number[];

/** Return the product of two matrices. */
export function multiply(a: Matrix, b: Matrix): number[] {
  return Array.from({ length: 16 }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < 4; k++) sum += (a[(i % 4) + 4 * k] as number) * (b[k + 4 * Math.floor(i / 4)] as number);
    return sum;
  });
}

/** Return world to camera, of a camera at `place` that looks along its negative z axis, turned by `turn`. */
export function viewMatrix(place: Vector3, turn: Quaternion): number[] {
  const [x, y, z] = [new Vector3(1, 0, 0), new Vector3(0, 1, 0), new Vector3(0, 0, 1)].map((axis) => axis.applyQuaternion(turn)) as [
    Vector3,
    Vector3,
    Vector3,
  ];
  const along = (axis: Vector3) => -(axis.x * place.x + axis.y * place.y + axis.z * place.z);
  return [x.x, y.x, z.x, 0, x.y, y.y, z.y, 0, x.z, y.z, z.z, 0, along(x), along(y), along(z), 1];
}

/** Return camera to clip space in perspective; `field` is the height of the view in degrees. */
export function perspective(field: number, aspect: number, near: number, far: number): number[] {
  const f = 1 / Math.tan((field * Math.PI) / 360);
  return [f / aspect, 0, 0, 0, 0, f, 0, 0, 0, 0, (near + far) / (near - far), -1, 0, 0, (2 * near * far) / (near - far), 0];
}

/** Return camera to clip space without perspective, of a box around the middle. */
export function orthographic(halfWidth: number, halfHeight: number, near: number, far: number): number[] {
  return [1 / halfWidth, 0, 0, 0, 0, 1 / halfHeight, 0, 0, 0, 0, 2 / (near - far), 0, 0, 0, (near + far) / (near - far), 1];
}

/**
 * Return the clip space of a part of the picture.
 *
 * @param clip of the whole picture, `width` x `height`
 * @param left left edge of the part, `side` x `side`
 * @param top its upper edge
 */
export function partOf(clip: Matrix, width: number, height: number, left: number, top: number, side: number): number[] {
  const [sx, sy] = [width / side, height / side];
  const [cx, cy] = [(width - 2 * left - side) / side, (2 * top + side - height) / side];
  return multiply([sx, 0, 0, 0, 0, sy, 0, 0, 0, 0, 1, 0, cx, cy, 0, 1], clip);
}
