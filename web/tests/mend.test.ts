import { describe, expect, it } from "vitest";
import { mendParts } from "../src/views/states/mend";

describe("what mends something", () => {
  it("is a sentence, with commands at the odd places", () => {
    expect(mendParts("run `motifs evaluate`, then `motifs site` again")).toEqual([
      "Run ",
      "motifs evaluate",
      ", then ",
      "motifs site",
      " again.",
    ]);
    expect(mendParts("run `x`")).toEqual(["Run ", "x", "."]);
    expect(mendParts("an odd ` stays")).toEqual(["An odd ` stays."]);
    expect(mendParts("Done.")).toEqual(["Done."]);
  });
});
