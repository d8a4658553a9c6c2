import { describe, expect, it } from "vitest";
import { compositions, third } from "../src/pages/clusters/composition";
import { selectedRows, toggled } from "../src/pages/clusters/selection";
import { cutCodec } from "../src/pages/clustering/codec";

describe("composition", () => {
  const labels = Int32Array.from([0, 0, 1, -1]);
  const heads = { model: [0, 1, 1, 1], depth: [0, 0.5, 1, 0.3] };
  const parts = compositions(labels, heads, 2, [{ name: "x", rows: [1, 2] }, { name: "y", rows: [] }]);
  it("counts models, thirds of the depth and classes", () => {
    expect(parts.map((one) => one.cluster)).toEqual([0, 1, -1]);
    expect(parts[0]?.models).toEqual([1, 1]);
    expect(parts[0]?.thirds).toEqual([1, 1, 0]);
    expect(parts[0]?.meanDepth).toBeCloseTo(0.25);
    expect(parts[1]?.classes).toEqual([{ name: "x", heads: 1, lift: 2 }]);
    expect(parts[2]?.classes).toEqual([]);
  });
  it("has bounds of thirds as Python's", () => {
    expect([0, 0.33, 1 / 3, 0.66, 0.67, 1].map(third)).toEqual([0, 0, 1, 1, 2, 2]);
  });
});

describe("selection", () => {
  const linkage = Float32Array.from([1, 2, 1, 2, 0, 3, 2, 3]);
  const labels = Int32Array.from([1, 0, 0]);
  it("joins heads, clusters and branches", () => {
    expect(selectedRows([0], [], labels, linkage)).toEqual([0]);
    expect(selectedRows([0], [{ kind: "cluster", number: 0 }], labels, linkage)).toEqual([0, 1, 2]);
    expect(selectedRows([], [{ kind: "branch", number: 3 }], labels, linkage)).toEqual([1, 2]);
    expect(selectedRows([], [{ kind: "branch", number: 99 }], labels, linkage)).toEqual([]);
    expect(selectedRows([], [{ kind: "cluster", number: 99 }], labels, null)).toEqual([]);
  });
  it("toggles", () => {
    const one = toggled([], { kind: "cluster", number: 3 });
    expect(toggled(one, { kind: "branch", number: 3 })).toHaveLength(2);
    expect(toggled(one, { kind: "cluster", number: 3 })).toEqual([]);
  });
});

describe("a cut in a link", () => {
  it("is read as it is written", () => {
    for (const cut of [null, { by: "number", value: 12 }, { by: "height", value: 3.25 }] as const) {
      expect(cutCodec.read(cutCodec.write(cut))).toEqual(cut);
    }
    expect(cutCodec.read("n-1")).toBeUndefined();
    expect(cutCodec.read("x")).toBeUndefined();
  });
});
