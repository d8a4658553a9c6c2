import { describe, expect, it } from "vitest";
import { loadPictures, meanPicture, spaced, type Pictures } from "../src/data/pictures";
import { manifest } from "./manifest";

const bytes = [Uint8Array.of(255, 0, 255), Uint8Array.of(255, 255, 0)];
const pictures: Pictures = { side: 2, of: (row) => bytes[row] as Uint8Array };

describe("meanPicture", () => {
  it("averages weights, not bytes", () => {
    const half = Math.round(255 * Math.sqrt(0.5));
    expect([...meanPicture(pictures, [0, 1]).triangle]).toEqual([255, half, half]);
  });
  it("of one head is its picture", () => {
    expect([...meanPicture(pictures, [1]).triangle]).toEqual([255, 255, 0]);
  });
  it("of no head is black", () => {
    expect([...meanPicture(pictures, []).triangle]).toEqual([0, 0, 0]);
  });
});

describe("spaced", () => {
  it("keeps few rows and thins out many", () => {
    expect(spaced([3, 5], 4)).toEqual([3, 5]);
    expect(spaced([0, 1, 2, 3, 4, 5], 3)).toEqual([0, 2, 4]);
  });
});

it("there are no pictures in a site without patterns", async () => {
  expect(await loadPictures(manifest, [0])).toBeNull();
});
