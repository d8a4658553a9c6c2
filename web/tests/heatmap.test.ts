import { describe, expect, it } from "vitest";
import { cellAt, pan, showing, whole, within, zoomAt } from "../src/views/heatmap/frame";
import { codeQuantiles, heatmapPixels, heatmapTable } from "../src/views/heatmap/image";
import { clusterOrder, treeOrder } from "../src/pages/distances/orders";

const style = { map: "viridis", low: 0, high: 255, reversed: false } as const;

describe("a frame", () => {
  it("keeps the point under the pointer in its place", () => {
    const zoomed = zoomAt(whole(100), 100, 4, 0.25, 0.75);
    expect(zoomed.cells).toBe(25);
    expect(zoomed.left + 0.25 * zoomed.cells).toBeCloseTo(25);
    expect(zoomed.top + 0.75 * zoomed.cells).toBeCloseTo(75);
  });
  it("never leaves the matrix", () => {
    expect(zoomAt(whole(100), 100, 0.1, 0.5, 0.5)).toEqual(whole(100));
    expect(zoomAt(whole(100), 100, 1e9, 0, 0).cells).toBe(3);
    expect(pan({ left: 90, top: 0, cells: 10 }, 100, 5, -5)).toEqual({ left: 90, top: 0, cells: 10 });
    expect(within({ left: 0, top: 0, cells: 9 }, 2)).toEqual(whole(2));
  });
  it("finds cells and shows them", () => {
    const frame = { left: 10, top: 20, cells: 10 };
    expect(cellAt(frame, 100, 0.05, 0.95)).toEqual({ row: 29, column: 10 });
    expect(cellAt(frame, 100, 1.1, 0)).toBeNull();
    expect(showing(frame, 100, 35, 5)).toEqual({ left: 5, top: 26, cells: 10 });
  });
});

describe("pixels", () => {
  const matrix = { n: 2, codes: Uint16Array.from([0, 255, 100, 65535]) };
  it("are the codes in the order of the axes", () => {
    const table = heatmapTable(style);
    const pixels = heatmapPixels(matrix, Uint32Array.from([1, 0]), whole(2), 2, style);
    expect(pixels[3]).toBe(0); // missing
    expect([...pixels.subarray(4, 7)]).toEqual([...table.subarray(300, 303)]);
    expect([...pixels.subarray(8, 11)]).toEqual([...table.subarray(765, 768)]);
    expect([...pixels.subarray(12, 15)]).toEqual([...table.subarray(0, 3)]);
  });
  it("are means where several cells fall on one", () => {
    const flat = { n: 4, codes: new Uint16Array(16).fill(50) };
    const table = heatmapTable(style);
    const pixels = heatmapPixels(flat, Uint32Array.from([0, 1, 2, 3]), whole(4), 1, style);
    expect([...pixels.subarray(0, 3)]).toEqual([...table.subarray(150, 153)]);
  });
  it("leave out the diagonal and what is missing when the range is found", () => {
    const codes = Uint16Array.from([0, 5, 7, 5, 0, 65535, 7, 65535, 0]);
    expect(codeQuantiles({ n: 3, codes }, [0, 0.5, 1])).toEqual([5, 7, 7]);
    expect(codeQuantiles({ n: 1, codes: new Uint16Array(1) }, [0, 1])).toEqual([0, 1]);
  });
});

describe("orders of the heads", () => {
  const linkage = Float32Array.from([1, 2, 1, 2, 0, 3, 2, 3]);
  const labels = Int32Array.from([1, 0, 0]);
  it("put clusters side by side", () => {
    const order = clusterOrder(labels, linkage, String);
    expect([...order.rows]).toEqual([1, 2, 0]);
    expect(order.groups).toEqual([
      { start: 0, end: 2, label: "0" },
      { start: 2, end: 3, label: "1" },
    ]);
    expect([...clusterOrder(Int32Array.from([-1, 1, 0]), null, String).rows]).toEqual([2, 1, 0]);
  });
  it("follow the tree", () => {
    expect([...treeOrder(labels, linkage, String).rows]).toEqual([0, 1, 2]);
  });
});
