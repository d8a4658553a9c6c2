import { describe, expect, it } from "vitest";
import { choice, flag, integer, list, number, range, text } from "../src/state/codecs";

describe("codecs", () => {
  it("give back what they wrote", () => {
    const names = ["a,b", "100%2C", "%", "org/name:L5:H3", "<script>", "\u202e"];
    for (const some of [names, [], [""], ["", "a"], ["a", ""], ["%00"], ["a"]]) {
      expect(list(text).read(list(text).write(some))).toEqual(some);
    }
    expect(range.read(range.write([3, 7]))).toEqual([3, 7]);
    expect(range.read(range.write(null))).toBeNull();
    expect(number(0, 1).read(number(0, 1).write(0.25))).toBe(0.25);
    expect(flag.read(flag.write(true))).toBe(true);
  });

  it("refuse what they cannot read, and move numbers into their bounds", () => {
    expect(integer(0, 9).read("12")).toBe(9);
    expect(integer(0, 9).read("-3")).toBe(0);
    expect(integer(0, 9).read("1e3")).toBeUndefined();
    expect(integer(0, 9).read("")).toBeUndefined();
    expect(number(0, 1).read("")).toBeUndefined();
    expect(number(0, 1).read("NaN")).toBeUndefined();
    expect(choice("a", "b").read("c")).toBeUndefined();
    expect(range.read("7-3")).toEqual([3, 7]);
    expect(range.read("a-b")).toBeUndefined();
    expect(list(integer(0, 9)).read("1,x,3")).toEqual([1, 3]);
  });

  it("a list is no longer than it may be", () => {
    expect(list(text, 3).read("a,b,c,d,e")).toEqual(["a", "b", "c"]);
  });
});
