// @vitest-environment happy-dom
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

afterEach(() => theme.set("auto"));

describe.each(["light", "dark"] as const)("in the %s theme", (name) => {
  it("lines of trends differ from the ground by 3:1, beyond the palette too", () => {
    theme.set(name);
    const asked = { over: "depth", ranked: null, by: "model", bins: 2, nClusters: 2, models: [] } as const;
    const { styles } = gather(view as never, asked);
    expect(styles).toHaveLength(models.length);
    for (const { colour } of styles) expect(contrast(colour, GROUNDS[name])).toBeGreaterThanOrEqual(LEAST_CONTRAST);
  });

  it("every amount differs from the ground by 2:1, and its lightness goes one way", () => {
    const shares = Array.from({ length: 21 }, (_, i) => i / 20);
    const colours = shares.map((share) => amountColour(share, name === "dark"));
    for (const colour of colours) expect(contrast(colour, GROUNDS[name])).toBeGreaterThan(2);
    const green = colours.map((colour) => rgb(colour)[1]);
    expect([...green].sort((a, b) => a - b)).toEqual(green);
  });
});
