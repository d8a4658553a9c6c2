import { describe, expect, it } from "vitest";
import { decodeColumn, decodeHalf, decodeValues, labelOf } from "../src/contract/columns";

/** Half precision as IEEE 754 defines it, bit by bit in float64. */
function half(bits: number): number {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * Math.pow(2, -24);
  return sign * (1024 + fraction) * Math.pow(2, exponent - 25);
}

describe("columns", () => {
  it("decode every half-precision number", () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const decoded = decodeHalf(bits);
    for (let i = 0; i < 65536; i++) {
      if (!Object.is(decoded[i], half(i)) && !Number.isNaN(half(i))) throw new Error(`bits ${i}`);
    }
    expect(decoded[0x3c00]).toBe(1);
    expect(decoded[0x7c01]).toBeNaN();
  });

  it("read a column at its offset, with labels", () => {
    const buffer = new ArrayBuffer(12);
    new Uint16Array(buffer, 4, 3).set([0, 1, 0xffff]);
    const column = { name: "a", dtype: "uint16", offset: 4, length: 3, labels: ["x", "y"] } as const;
    expect([...decodeColumn(buffer, column)]).toEqual([0, 1, 65535]);
    expect(labelOf(column, 1)).toBe("y");
    expect(labelOf(column, 0xffff)).toBeNull();
  });

  it("refuse what does not fit", () => {
    expect(() => decodeValues(new ArrayBuffer(7), "float32", 0, 2)).toThrow(RangeError);
    expect(() => decodeValues(new ArrayBuffer(8), "float32", -4, 1)).toThrow(RangeError);
  });
});
