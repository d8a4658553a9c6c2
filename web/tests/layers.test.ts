import { describe, expect, it } from "vitest";
import { importsOf, problem } from "../scripts/check-imports.mjs";

describe("the order of imports", () => {
  it("is checked", () => {
    expect(problem("pages/head", "views/table/view")).toBeNull();
    expect(problem("views/table/view", "pages/head")).toMatch(/above/);
    expect(problem("data/heads", "state/url")).toMatch(/above/);
    expect(problem("data/heads", "../tests/x")).toMatch(/outside/);
  });

  it("finds imports of every form", () => {
    const text = `import "./a.css";\nimport type { B } from '../b';\nexport { c } from "./c";\nconst d = () => import("../d");\nimport e from "preact";`;
    expect(importsOf(text)).toEqual(["./a.css", "../b", "./c", "../d"]);
  });
});
