import { describe, expect, it } from "vitest";
import { binOf, largestShare, rankShares, sizeTrends, trends } from "../src/pages/cluster-trends/trends";

const labels = Int32Array.from([0, 0, 1, -1, 1, 0]);
const depth = [0, 0.5, 1, 0, 1, Number.NaN];
const where = (low: number, high: number) => `${low} to ${high}`;

describe("trends of clusters", () => {
  it("are shares of the heads of a group at a depth", () => {
    const groups = [
      { name: "a", heads: Uint8Array.from([1, 1, 1, 1, 0, 0]) },
      { name: "b", heads: Uint8Array.from([0, 0, 0, 0, 1, 1]) },
    ];
    const [zero, one] = trends(labels, depth, groups, 2, 2, where);
    expect(zero?.lines[0]).toEqual([
      { x: 0.25, heads: 1, of: 2, share: 0.5, where: "0 to 0.5" },
      { x: 0.75, heads: 1, of: 2, share: 0.5, where: "0.5 to 1" },
    ]);
    expect(one?.lines[0]?.map((point) => point.share)).toEqual([0, 0.5]);
    // No head of b lies in the first half; one has no depth.
    expect(one?.lines[1]).toEqual([{ x: 0.75, heads: 1, of: 1, share: 1, where: "0.5 to 1" }]);
  });
  it("have closed last bins", () => {
    expect([0, 0.49, 0.5, 1].map((value) => binOf(value, 2))).toEqual([0, 0, 1, 1]);
  });
  it("rank heads, equal ones alike", () => {
    expect([...rankShares([3, 1, Number.NaN, 1, 9])]).toEqual([0.625, 0.25, Number.NaN, 0.25, 0.875]);
    expect([...rankShares([])]).toEqual([]);
  });
  it("over size go from small models to large ones of a family", () => {
    const models = [
      { name: "large", family: "f", parameters: 9e9, firstRow: 0, nHeads: 2 },
      { name: "small", family: "f", parameters: 1e8, firstRow: 2, nHeads: 4 },
      { name: "unknown", family: "f", parameters: 0, firstRow: 0, nHeads: 2 },
    ];
    const [zero] = sizeTrends(labels, models, ["f", "g"], 1);
    expect(zero?.lines[0]?.map((point) => [point.where, point.share])).toEqual([
      ["small", 0.25],
      ["large", 1],
    ]);
    expect(zero?.lines[1]).toEqual([]);
  });
  it("know their largest share", () => {
    expect(largestShare([])).toBe(1);
    expect(largestShare(sizeTrends(labels, [{ name: "m", family: "f", parameters: 1, firstRow: 0, nHeads: 4 }], ["f"], 2))).toBe(0.5);
  });
});
