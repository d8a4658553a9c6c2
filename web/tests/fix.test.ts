import { describe, expect, it } from "vitest";
import { fixParts } from "../src/views/states/fix";

describe("what fixes something", () => {
  it("is a sentence, with commands at the odd places", () => {
    expect(fixParts("run `motifs evaluate`, then `motifs site` again")).toEqual([
      "Run ",
      "motifs evaluate",
      ", then ",
      "motifs site",
      " again.",
    ]);
    expect(fixParts("run `x`")).toEqual(["Run ", "x", "."]);
    expect(fixParts("an odd ` stays")).toEqual(["An odd ` stays."]);
    expect(fixParts("Done.")).toEqual(["Done."]);
  });
});
