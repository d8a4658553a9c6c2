import { describe, expect, it } from "vitest";
import { h } from "preact";
import { withPixels, writePixels } from "../src/app/pixels";

describe("numbers in styles", () => {
  it("become pixels, but for those without a unit", () => {
    const style = { width: 104, top: 0, opacity: 0.5, zIndex: 3, left: "10%", "--cells": 4, flexGrow: 1, fontWeight: 600, lineHeight: 1.2, fontSize: 12 };
    expect(withPixels(style)).toEqual({ ...style, width: "104px", fontSize: "12px" });
  });

  it("on every element that is made from then on, without touching the given object", () => {
    writePixels();
    const style = { height: 7 };
    expect(h("div", { style }).props.style).toEqual({ height: "7px" });
    expect(style).toEqual({ height: 7 });
  });
});
