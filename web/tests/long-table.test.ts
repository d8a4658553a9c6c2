import { describe, expect, it } from "vitest";
import { csv } from "../src/views/export-menu/csv";
import { longText, type LongTable } from "../src/views/export-menu/long-table";

const N = 45_000;

/** Two names, numbers and codes of every point, and some points, not in order. */
function table(n: number): LongTable {
  return {
    columns: [
      { title: "head", every: 1, labels: ["a", 'b"', "=c"] },
      { title: "prompt", every: 3, labels: Array.from({ length: N / 3 }, (_, i) => i) },
      { title: "x", values: Float32Array.from({ length: N }, (_, i) => (i % 7 === 0 ? Number.NaN : i / 4)) },
      { title: "class", codes: Uint16Array.from({ length: N }, (_, i) => (i % 5 === 0 ? 0xffff : 0)), labels: ["known"] },
    ],
    points: Uint32Array.from({ length: n }, (_, i) => N - 1 - i),
  };
}

/** The rows, written plainly. */
function rows(n: number): (string | number | null)[][] {
  return Array.from({ length: n }, (_, i) => N - 1 - i).map((point) => [
    ["a", 'b"', "=c"][point % 3] as string,
    Math.floor(point / 3),
    point % 7 === 0 ? null : point / 4,
    point % 5 === 0 ? null : "known",
  ]);
}

describe("long tables", () => {
  it.each([0, 1, 20_000, N])("are the CSV and JSON of their %i rows", (n) => {
    const titles = ["head", "prompt", "x", "class"];
    expect([...longText(table(n), "csv")].join("")).toBe(csv(titles, rows(n)));
    expect(JSON.parse([...longText(table(n), "json")].join(""))).toEqual({ columns: titles, rows: rows(n) });
  });
});
