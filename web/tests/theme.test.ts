// @vitest-environment happy-dom
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { gather } from "../src/pages/cluster-trends/gather";
import { theme } from "../src/state/params";
import { contrast, GROUNDS, LEAST_CONTRAST } from "../src/views/palette/contrast";
import { themedCategory } from "../src/views/palette/themed";
import { amountColour } from "../src/views/points-3d/colours";
import { rgb } from "../src/views/pattern-canvas/colour-map";
import { manifest } from "./manifest";

const models = Array.from({ length: 24 }, (_, i) => ({ ...manifest.models[0], name: `model ${i}` }));
const view = {
  manifest: { ...manifest, models },
  cut: { labels: new Int32Array(9) },
  heads: { depth: new Float32Array(9) },
  parts: [],
  colour: themedCategory,
};

const tokenStyles = readFileSync("src/views/token-text/view.css", "utf8");
const styles = readFileSync("src/app/styles.css", "utf8");

/** Return a colour of the theme: the first definition is that of the light one, the second that of the dark one. */
function themeColour(key: string, name: "light" | "dark"): string {
  const colours = [...styles.matchAll(new RegExp(`--${key}: (#[0-9a-f]{6})`, "g"))].map((match) => match[1] as string);
  return colours[name === "light" ? 0 : 1] as string;
}

afterEach(() => theme.set("auto"));

describe.each(["light", "dark"] as const)("in the %s theme", (name) => {
  it("lines of trends differ from the ground by 3:1, beyond the palette too", () => {
    theme.set(name);
    const asked = { over: "depth", ranked: null, by: "model", bins: 2, nClusters: 2, models: [] } as const;
    const { styles } = gather(view as never, asked);
    expect(styles).toHaveLength(models.length);
    for (const { colour } of styles) expect(contrast(colour, GROUNDS[name])).toBeGreaterThanOrEqual(LEAST_CONTRAST);
  });

  it("a token with the largest weight can be read", () => {
    const share = Number(/--shade, 0\) \* (\d+)%/.exec(tokenStyles)?.[1]) / 100;
    const panel = rgb(themeColour("panel", name));
    const shaded = rgb(themeColour("accent", name)).map((value, i) =>
      Math.round(share * value + (1 - share) * (panel[i] as number)),
    );
    const ground = `#${shaded.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
    expect(contrast(themeColour("text", name), ground)).toBeGreaterThanOrEqual(4.5);
  });

  it("every amount differs from the ground by 2:1, and its lightness goes one way", () => {
    const shares = Array.from({ length: 21 }, (_, i) => i / 20);
    const colours = shares.map((share) => amountColour(share, name === "dark"));
    for (const colour of colours) expect(contrast(colour, GROUNDS[name])).toBeGreaterThan(2);
    const green = colours.map((colour) => rgb(colour)[1]);
    expect([...green].sort((a, b) => a - b)).toEqual(green);
  });
});
