import { describe, expect, it } from "vitest";
import { byteSize, extent, figure, jitter, mean, median, nearest, place, shorten } from "../src/views/chart/scale";

describe("figures", () => {
  it("have three digits, a true minus and no trailing zeros", () => {
    expect(figure(0.123456)).toBe("0.123");
    expect(figure(-2)).toBe("−2");
    expect(figure(0)).toBe("0");
    expect(figure(12345.6)).toBe("12,346");
    expect(figure(0.00001)).toBe("1e-5");
    expect(figure(1234567)).toBe("1.23e+6");
    expect(figure(null)).toBe("–");
    expect(figure(Number.NaN)).toBe("–");
    expect(figure(Number.NEGATIVE_INFINITY)).toBe("−∞");
  });

  it("long names lose their middle", () => {
    expect(shorten("abcdef", 6)).toBe("abcdef");
    expect(shorten("abcdefgh", 6)).toBe("abc…gh");
    expect(shorten("abcdefgh", 2)).toBe("a…");
    expect(shorten("abcdefgh", 7)).toHaveLength(7);
  });

  it("sizes in bytes", () => {
    expect(byteSize(0)).toBe("0 B");
    expect(byteSize(999)).toBe("999 B");
    expect(byteSize(72669)).toBe("73 kB");
    expect(byteSize(3_035_219)).toBe("3 MB");
  });
});

describe("scales", () => {
  it("the extent leaves out what is missing, and is never empty", () => {
    expect(extent([3, null, Number.NaN, 1, Number.POSITIVE_INFINITY])).toEqual([1, 3]);
    expect(extent([])).toEqual([0, 1]);
    expect(extent([4])).toEqual([2, 6]);
    expect(extent([0, 0])).toEqual([-1, 1]);
  });

  it("an axis maps its ends to the ends, and has ticks within", () => {
    const axis = place({ title: "", domain: [0.2, 0.9], exact: true }, 100, 0, 5);
    expect(axis.at(0.2)).toBe(100);
    expect(axis.at(0.9)).toBeCloseTo(0);
    expect(axis.ticks.length).toBeGreaterThan(2);
    for (const tick of axis.ticks) expect(tick.at).toBeLessThanOrEqual(100);
  });

  it("an axis of square roots keeps signs and ends, and its ticks apart", () => {
    const axis = place({ title: "", domain: [-1, 4], root: true }, 0, 300, 8);
    expect([-1, 0, 1, 4].map(axis.at)).toEqual([0, 100, 200, 300]);
    const texts = axis.ticks.map((tick) => tick.text);
    expect(texts).toContain("0");
    expect(texts).toContain("−1");
    expect(texts).toContain("2");
    const ticks = [...axis.ticks].sort((a, b) => a.at - b.at);
    ticks.slice(1).forEach((tick, i) => {
      const before = ticks[i] as (typeof ticks)[0];
      expect(tick.at - before.at).toBeGreaterThan(3.2 * (tick.text.length + before.text.length));
    });
    expect(place({ title: "", domain: [0, 1], root: true }, 0, 300, 8).at(0.25)).toBe(150);
  });

  it("the mean leaves out what is missing", () => {
    expect(mean([1, Number.NaN, 4, 1])).toBe(2);
    expect(mean([])).toBeNaN();
  });

  it("the median of an even number is between the two middle ones", () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([5, Number.NaN, 1, 3])).toBe(3);
    expect(median([])).toBeNaN();
  });

  it("jitter is the same every time and within bounds", () => {
    expect(jitter(50)).toEqual(jitter(50));
    for (const one of jitter(500)) expect(Math.abs(one)).toBeLessThanOrEqual(1);
  });

  it("the nearest dot is found within reach only", () => {
    const dots = [{ x: 0, y: 0 }, { x: 10, y: 0 }, { x: Number.NaN, y: 0 }];
    expect(nearest(dots, 7, 0, 14)).toBe(1);
    expect(nearest(dots, 50, 0, 14)).toBe(-1);
  });
});
