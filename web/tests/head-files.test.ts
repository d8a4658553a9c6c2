import { describe, expect, it } from "vitest";
import { fileOfHead, filesOfHeads } from "../src/data/head-files";
import { manifest } from "./manifest";

const files = { folder: "f", per_file: [4, 2] };

describe("files of heads", () => {
  it("hold every head once, and end with their model", () => {
    // Rows 0 to 5 are of the first model, rows 6 to 8 of the second.
    const all = filesOfHeads(manifest, files, 0, manifest.n_heads);
    expect(all).toEqual([
      { name: "f/0/0", firstRow: 0, nRows: 4 },
      { name: "f/0/1", firstRow: 4, nRows: 2 },
      { name: "f/1/0", firstRow: 6, nRows: 2 },
      { name: "f/1/1", firstRow: 8, nRows: 1 },
    ]);
    for (let row = 0; row < manifest.n_heads; row++) {
      expect(all.filter((file) => row >= file.firstRow && row < file.firstRow + file.nRows)).toEqual([
        fileOfHead(manifest, files, row),
      ]);
    }
  });

  it("of a layer begin with the file that holds its first head", () => {
    expect(filesOfHeads(manifest, files, 3, 3).map((file) => file.name)).toEqual(["f/0/0", "f/0/1"]);
    expect(filesOfHeads(manifest, files, 4, 0)).toEqual([]);
  });
});
