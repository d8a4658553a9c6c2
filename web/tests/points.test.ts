import { describe, expect, it } from "vitest";
import { meanOverPrompts } from "../src/pages/points/columns";
import { pointsOf, readPicked, writePicked } from "../src/pages/points/picked";
import { eye, fly, orbit, look, readCamera, startCamera, writeCamera, zoom } from "../src/views/points-3d/camera";
import { rgb } from "../src/views/pattern-canvas/colour-map";
import { amounts, colourPoints, countCategories, legendPasses, noneColour, palette, type Categories } from "../src/views/points-3d/colours";
import { keyOf, stepFrom } from "../src/views/points-3d/keys";
import { looks } from "../src/views/points-3d/looks";
import { createPace } from "../src/views/points-3d/pace";
import { decodePick, nearestPick, SIDE } from "../src/views/points-3d/pick";
import { NONE } from "../src/views/palette/api";
import { bulk, place } from "../src/views/points-3d/place";
import type { Quaternion, Vector3 } from "../src/views/points-3d/vectors";
import { inside, merge, pointsInside, project, rectangle, type Spot } from "../src/views/points-3d/select";
import { arrange, regions } from "../src/views/points-3d/regions";
import type { Projection } from "../src/contract/generated";
import { best, EVERY, projectionPasses, projectionTables } from "../src/pages/projections/groups";
import { dots, thumbnailPixels } from "../src/views/point-thumbnail/draw";
import { generator } from "../src/state/random";

/** As the picking shader writes the number of a point. */
function code(point: number): [number, number, number] {
  const id = point + 1;
  return [id & 255, (id >> 8) & 255, (id >> 16) & 255];
}

describe("picking", () => {
  it("decodes what the shader writes", () => {
    for (const point of [0, 1, 254, 255, 256, 65_534, 65_535, 65_536, 1_000_000, 16_777_213]) {
      expect(decodePick(...code(point))).toBe(point);
    }
    expect(decodePick(0, 0, 0)).toBe(-1);
  });

  it("takes the pixel nearest to the cursor, and nothing beyond its reach", () => {
    const pixels = new Uint8Array(SIDE * SIDE * 4);
    const middle = (SIDE - 1) / 2;
    const put = (x: number, y: number, point: number) => pixels.set(code(point), (y * SIDE + x) * 4);
    expect(nearestPick(pixels)).toBeNull();
    put(0, 0, 7); // the corner is farther away than the reach
    expect(nearestPick(pixels)).toBeNull();
    put(0, middle, 8);
    expect(nearestPick(pixels)).toBe(8);
    put(middle + 2, middle + 2, 300_000);
    expect(nearestPick(pixels)).toBe(300_000);
    put(middle, middle, 9);
    expect(nearestPick(pixels)).toBe(9);
  });
});

describe("outlines", () => {
  it("distinguish inside from outside, for concave outlines too", () => {
    const horseshoe: Spot[] = [[0, 0], [10, 0], [10, 10], [7, 10], [7, 3], [3, 3], [3, 10], [0, 10]];
    expect(inside(horseshoe, 1, 9)).toBe(true);
    expect(inside(horseshoe, 5, 1)).toBe(true);
    expect(inside(horseshoe, 5, 7)).toBe(false);
    expect(inside(horseshoe, 11, 1)).toBe(false);
    expect(inside([], 0, 0)).toBe(false);
    expect(inside([[1, 1]], 1, 1)).toBe(false);
  });

  it("agree with the bounds for rectangles", () => {
    const random = generator(3);
    const box = rectangle([8, 6], [2, 1]);
    for (let i = 0; i < 500; i++) {
      const [x, y] = [random() * 10, random() * 10];
      expect(inside(box, x, y)).toBe(x > 2 && x < 8 && y > 1 && y < 6);
    }
  });

  it("find shown points where they are on the screen", () => {
    // Clip space is the box itself: x to the right, y up.
    const matrix = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
    const view = { matrix, width: 200, height: 100 };
    expect(project(view, 0, 0, 0)).toEqual([100, 50]);
    expect(project(view, -1, 1, 0)).toEqual([0, 0]);
    const positions = Float32Array.from([0, 0, 0, 0.9, 0.9, 0, 0.01, 0.01, 0]);
    const states = Uint8Array.from([1, 1, 0]);
    expect([...pointsInside(positions, states, view, rectangle([90, 40], [110, 60]))]).toEqual([0]);
    const behind = [...matrix.slice(0, 15), -1];
    expect(project({ ...view, matrix: behind }, 0, 0, 0)).toBeNull();
  });

  it("of any view and outline are those of the definition", () => {
    const random = generator(5);
    const n = 300;
    const positions = Float32Array.from({ length: 3 * n }, () => 2 * random() - 1);
    const states = Uint8Array.from({ length: n }, () => Math.floor(random() * 3));
    const outlines = [rectangle([60, 10], [20, 70]), [[10, 10], [90, 30], [40, 90]] as Spot[]];
    for (let view = 0; view < 20; view++) {
      const eye = { matrix: Array.from({ length: 16 }, () => 2 * random() - 1), width: 100, height: 80 };
      for (const outline of outlines) {
        const [xs, ys] = [outline.map(([x]) => x), outline.map(([, y]) => y)];
        const expected = [...states.keys()].filter((i) => {
          const spot = project(eye, ...([...positions.subarray(3 * i, 3 * i + 3)] as [number, number, number]));
          if (states[i] === 0 || spot === null) return false;
          const [x, y] = spot;
          const isNear = x >= Math.min(...xs) && x <= Math.max(...xs) && y >= Math.min(...ys) && y <= Math.max(...ys);
          return isNear && inside(outline, x, y);
        });
        expect([...pointsInside(positions, states, eye, outline)]).toEqual(expected);
      }
    }
  });

  it("add to and take from a selection", () => {
    const first = merge(null, Uint32Array.of(1, 2), "replace", 4);
    expect([...(first as Uint8Array)]).toEqual([0, 1, 1, 0]);
    expect([...(merge(first, Uint32Array.of(3), "add", 4) as Uint8Array)]).toEqual([0, 1, 1, 1]);
    expect([...(merge(first, Uint32Array.of(1), "remove", 4) as Uint8Array)]).toEqual([0, 0, 1, 0]);
    expect(merge(first, new Uint32Array(), "replace", 4)).toBeNull();
    expect([...(first as Uint8Array)]).toEqual([0, 1, 1, 0]);
  });
});

describe("selections in links", () => {
  it("come back as they were", () => {
    const random = generator(1);
    for (const [n, share] of [[1, 1], [10, 0.5], [1000, 0.3], [300_000, 0.002], [1_000_000, 0.0002]] as const) {
      const mask = Uint8Array.from({ length: n }, () => (random() < share ? 1 : 0));
      const text = writePicked(mask);
      expect(text).toMatch(/^[\w-]*$/);
      const back = readPicked(text as string, n);
      if (!mask.includes(1)) expect(back).toBeNull();
      else expect(pointsOf(back as Uint8Array)).toEqual(pointsOf(mask));
    }
  });

  it("say when they are too long, and forgive nonsense", () => {
    expect(writePicked(new Uint8Array(100_000).fill(1))).toBeNull();
    expect(writePicked(null)).toBe("");
    for (const text of ["", "!", "a", "large", "____", "<script>"]) {
      const mask = readPicked(text, 5);
      expect(mask === null || mask.length === 5).toBe(true);
    }
  });
});

describe("colours", () => {
  const three: Categories = {
    kind: "categories",
    title: "model",
    codes: Uint8Array.from([0, 1, 255]),
    labels: ["a", "b"],
    colours: ["#102030", "#ff0001"],
    none: "no model",
  };

  it("of categories are the legend's bytes, grey for none", () => {
    const grey = [1, 3, 5].map((at) => Number.parseInt(noneColour(false).slice(at, at + 2), 16));
    expect([...colourPoints(three, 3)]).toEqual([16, 32, 48, 255, 0, 1, ...grey]);
    expect(countCategories(three, null, 3)).toEqual([1, 1, 1]);
    expect(countCategories(three, Uint8Array.of(1, 0, 1), 3)).toEqual([1, 0, 1]);
  });

  it("of amounts grow lighter, grey where missing, the same where constant", () => {
    const values = Float32Array.from([0, 0.5, 1, Number.NaN]);
    const bytes = colourPoints(amounts("score", values), 4);
    const light = (i: number) => (bytes[3 * i] as number) * 0.3 + (bytes[3 * i + 1] as number) * 0.6 + (bytes[3 * i + 2] as number) * 0.1;
    expect(light(0)).toBeLessThan(light(1));
    expect(light(1)).toBeLessThan(light(2));
    expect(bytes[9]).toBe(Number.parseInt(NONE.slice(1, 3), 16));
    expect(new Set(colourPoints(amounts("x", new Float32Array(4).fill(2)), 4)).size).toBeLessThanOrEqual(3);
  });

  it("filter by label and by amount", () => {
    const all = { hidden: [], low: null, high: null };
    expect(legendPasses(three, all, 3)).toBeNull();
    expect([...(legendPasses(three, { ...all, hidden: ["b"] }, 3) as Uint8Array)]).toEqual([1, 0, 1]);
    expect([...(legendPasses(three, { ...all, hidden: ["", "a"] }, 3) as Uint8Array)]).toEqual([0, 1, 0]);
    const some = amounts("x", Float32Array.from([1, 2, Number.NaN, 4]));
    expect([...(legendPasses(some, { ...all, low: 2 }, 4) as Uint8Array)]).toEqual([0, 1, 0, 1]);
    expect([...(legendPasses(some, { ...all, low: 2, high: 3 }, 4) as Uint8Array)]).toEqual([0, 1, 0, 0]);
  });

  it("are as many as wanted", () => {
    expect(palette(40)).toHaveLength(40);
    expect(new Set(palette(15)).size).toBe(15);
    expect(rgb("hsl(120 100% 25%)")).toEqual([0, 128, 0]);
    expect(rgb("hsl(210 50% 40%)")).toEqual([51, 102, 153]);
    expect(rgb("#0072b2")).toEqual([0, 114, 178]);
  });

  it("go with the state of each point", () => {
    const look = looks(Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9]), {
      finite: Uint8Array.of(1, 1, 0),
      shown: Uint8Array.of(1, 0, 1),
      selected: Uint8Array.of(1, 1, 1),
      named: [1, 2],
    });
    expect([...look]).toEqual([1, 2, 3, 2, 4, 5, 6, 3, 7, 8, 9, 0]);
  });
});

describe("placing", () => {
  const axis = (values: number[], unit: string) => ({ title: unit, unit, values: Float32Array.from(values) });

  it("keeps proportions within a unit and stretches across units", () => {
    const same = place([axis([0, 10], "c"), axis([0, 2], "c")]);
    expect([...same.positions].map((one) => Math.round(one * 100) / 100)).toEqual([-1, -0.2, 0, 1, 0.2, 0]);
    const other = place([axis([0, 10], "c"), axis([0, 2], "d")]);
    expect([...other.positions]).toEqual([-1, -1, 0, 1, 1, 0]);
  });

  it("marks what has no place and survives degenerate axes", () => {
    const placed = place([axis([1, Number.NaN, 1], "c"), axis([3, 3, 3], "d")]);
    expect([...placed.finite]).toEqual([1, 0, 1]);
    expect([...placed.positions].every(Number.isFinite)).toBe(true);
    expect(place([axis([], "c"), axis([], "c")]).n).toBe(0);
    expect(bulk(Float32Array.from([Number.NaN]))).toEqual([0, 0]);
  });

  it("does not let one outlier shrink the rest", () => {
    const values = Float32Array.from({ length: 10_000 }, (_, i) => i / 10_000);
    values[17] = 1e6;
    expect(bulk(values)[1]).toBeLessThan(1.1);
  });

  it("averages over prompts without what is missing", () => {
    const means = meanOverPrompts(Float32Array.from([1, 2, 3, Number.NaN, Number.NaN, 5]), 3);
    expect([...means]).toEqual([1, 2, 4]);
  });
});

const apart = (a: Vector3, b: Vector3) => Math.hypot(...a.clone().sub(b).toArray());
const turnBetween = (a: Quaternion, b: Quaternion) => 2 * Math.acos(Math.min(1, Math.abs(a.clone().invert().multiply(b).w)));

describe("the eye", () => {
  const start = startCamera(false, 1.6);

  it("is restored from a link", () => {
    const moved = zoom(fly(orbit(start, 0.3, -0.2, 0.1), 0.1, 0.2, 0.3), 0.7);
    const back = readCamera(writeCamera(moved));
    expect(turnBetween(back?.turn as Quaternion, moved.turn)).toBeLessThan(1e-3);
    expect(apart(back?.target as Vector3, moved.target)).toBeLessThan(1e-3);
    expect(back?.distance).toBeCloseTo(moved.distance, 3);
    for (const text of ["", "1,2", "0,0,0,0,0,0,0,1", "a,b,c,d,e,f,g,h", ",,,,,,,", "1e9,0,0,0,0,0,1,2"]) {
      expect(readCamera(text)).toBeNull();
    }
  });

  it("keeps its distance when it orbits and its place when it looks", () => {
    const orbited = orbit(start, 1, 0.5);
    expect(orbited.target).toEqual(start.target);
    expect(apart(eye(orbited), orbited.target)).toBeCloseTo(start.distance, 9);
    const looked = look(start, 0.4, 0.1);
    expect(apart(eye(looked), eye(start))).toBeCloseTo(0, 9);
    expect(apart(looked.target, start.target)).toBeGreaterThan(0.1);
  });

  it("zooms to what is under the cursor, within bounds", () => {
    const flat = startCamera(true, 1);
    const zoomed = zoom(flat, 0.5, [1, 0]);
    expect(zoomed.target.x).toBeCloseTo(0.5);
    expect(zoom(flat, 1e9).distance).toBeLessThan(100);
    expect(zoom(flat, 0).distance).toBeGreaterThan(0);
  });
});

describe("keys", () => {
  it("keep Shift + N apart", () => {
    expect([keyOf({ key: "L" }), keyOf({ key: "N" }), keyOf({ key: "Enter" })]).toEqual(["l", "N", "Enter"]);
  });

  it("step over hidden points, around the end, within the selection", () => {
    const look = Uint8Array.from([1, 0, 2, 1].flatMap((state) => [0, 0, 0, state]));
    expect(stepFrom(-1, 1, look, false)).toBe(0);
    expect(stepFrom(-1, -1, look, false)).toBe(3);
    expect(stepFrom(0, 1, look, false)).toBe(2);
    expect(stepFrom(3, 1, look, false)).toBe(0);
    expect(stepFrom(0, 1, look, true)).toBe(2);
    expect(stepFrom(0, 1, new Uint8Array(8), false)).toBeNull();
  });
});

describe("the pace", () => {
  it("draws less while frames are slow, pixels first, and all again", () => {
    const pace = createPace(() => 2);
    const run = (milliseconds: number, frames: number) => {
      for (let i = 0; i < frames; i++) pace.note(milliseconds);
    };
    run(16, 20);
    expect([pace.ratio(), pace.points(), pace.coarse()]).toEqual([2, 1, false]);
    run(150, 3);
    expect(pace.ratio()).toBeLessThan(1);
    expect(pace.points()).toBe(1);
    run(150, 20);
    expect(pace.ratio()).toBe(0.5);
    expect(pace.points()).toBe(0.05);
    expect(pace.coarse()).toBe(true);
    expect(Math.round(pace.milliseconds())).toBe(150);
    // In between it stays as it is.
    run(40, 50);
    expect(pace.ratio()).toBe(0.5);
    run(12, 200);
    expect([pace.ratio(), pace.points(), pace.coarse()]).toEqual([2, 1, false]);
  });
});

describe("projections", () => {
  const one = (method: string, n_neighbors: number, n_components: number, trustworthiness: number | null, scope = "all") =>
    ({ scope, metric: "mean", method, n_neighbors, n_components, trustworthiness, continuity: 0.5, n_pieces: 1, note: "", file: "", bytes: 0 }) as Projection;
  const all = [one("umap", 8, 2, 0.9), one("pca", 0, 2, 0.8), one("umap", 4, 2, 0.95), one("umap", 8, 3, null), one("pca", 0, 2, 0.7, "gpt2")];

  it("are tables by scope, method and dimension", () => {
    const [first, second] = projectionTables(all);
    expect(first?.neighbours).toEqual([4, 8]);
    expect(first?.rows.map((row) => [row.method, row.dimensions, ...row.cells.map((cell) => all.indexOf(cell as Projection))])).toEqual([
      ["umap", 2, 2, 0],
      ["pca", 2, 1, -1],
      ["umap", 3, -1, 3],
    ]);
    expect(second?.scope).toBe("gpt2");
    expect([second?.neighbours, second?.rows[0]?.cells.map((cell) => all.indexOf(cell as Projection))]).toEqual([[], [4]]);
    expect(projectionTables([])).toEqual([]);
  });

  it("are filtered, and the best are found per dimension", () => {
    const filter = { scope: "all", methods: ["pca"], metrics: [], dimensions: 2 };
    expect(all.filter((each) => projectionPasses(each, filter))).toEqual([all[1]]);
    expect(all.filter((each) => projectionPasses(each, { ...filter, scope: EVERY }))).toHaveLength(2);
    expect(best(all, "trustworthiness").has(all[2] as Projection)).toBe(true);
    expect(best(all, "trustworthiness").has(all[3] as Projection)).toBe(false);
    expect(best(all.slice(0, 3), "continuity").size).toBe(3);
  });

  it("are drawn within the picture, the nearest last", () => {
    const random = generator(5);
    const column = () => Float32Array.from({ length: 50 }, () => random() * 7 - 2);
    for (const z of [null, column()]) {
      const drawn = dots(column(), column(), z);
      expect(drawn.points).toHaveLength(50);
      for (const value of [...drawn.left, ...drawn.top]) expect(value >= 0 && value <= 1).toBe(true);
    }
    expect(dots(Float32Array.of(1, Number.NaN), Float32Array.of(1, 1), null).points).toHaveLength(1);
    expect(dots(new Float32Array(), new Float32Array(), null).points).toHaveLength(0);
    const pixels = thumbnailPixels(dots(Float32Array.of(0, 1), Float32Array.of(0, 1), null), Uint8Array.of(9, 8, 7, 1, 2, 3), 20, 2);
    // Up is up: the second point is at the upper right.
    const at = 4 * (1 * 20 + 19);
    expect([...pixels.slice(at, at + 4)]).toEqual([1, 2, 3, 255]);
    expect(pixels.filter((_, i) => i % 4 === 3 && pixels[i] === 255)).toHaveLength(8);
  });
});

describe("the first camera", () => {
  const random = generator(8);
  const axis = (low: number, high: number) => ({ title: "", unit: "u", values: Float32Array.from({ length: 300 }, () => low + (high - low) * random()) });

  it.each([[true, 2.4], [true, 0.6], [false, 2.4], [false, 0.6]])("shows all points and leaves 8 %% free (flat: %s, aspect %s)", (flat, aspect) => {
    const placed = place([axis(0, 9), axis(3, 4), axis(-2, 2)]);
    const camera = startCamera(flat, aspect, placed);
    const back = camera.turn.clone().invert();
    const reach = Array.from({ length: placed.n }, (_, i) => {
      const at = camera.target.clone().fromArray(placed.positions, 3 * i).sub(camera.target).applyQuaternion(back);
      const half = Math.tan((45 * Math.PI) / 360) * (camera.distance - (flat ? 0 : at.z));
      return Math.max(Math.abs(at.y) / half, Math.abs(at.x) / (half * aspect));
    });
    expect(Math.max(...reach)).toBeCloseTo(1 / 1.08, 4);
  });

  it("shows the box without points, and a single point", () => {
    for (const n of [0, 1, 2]) {
      const placed = place([1, 2, 3].map(() => ({ title: "", unit: "u", values: new Float32Array(n).fill(7) })));
      expect(startCamera(false, 1.5, placed).distance).toBeGreaterThan(0);
    }
    const missing = place([1, 2].map(() => ({ title: "", unit: "u", values: new Float32Array(3).fill(Number.NaN) })));
    expect(startCamera(true, 1, missing).distance).toBeCloseTo(2.6);
  });
});

describe("names of categories", () => {
  it("are at a point in the middle of the shown points, largest first", () => {
    const x = { title: "", unit: "u", values: Float32Array.of(0, 1, 2, 50, 51, 52, 53, 9) };
    const placed = place([x, x]);
    const categories = { codes: Uint16Array.of(0, 0, 0, 1, 1, 1, 1, 65_535), labels: ["a", "b"] };
    expect(regions(categories, placed, new Uint8Array(8).fill(1)).map(({ label, count }) => [label, count])).toEqual([["b", 4], ["a", 3]]);
    const [only] = regions(categories, placed, Uint8Array.of(1, 1, 1, 0, 0, 0, 1, 1));
    expect(only).toEqual({ label: "a", point: 1, count: 3 });
  });

  it("do not overlap and stay in the picture", () => {
    const random = generator(5);
    const names = Array.from({ length: 40 }, (_, i) => ({ label: `cluster ${i}`, spot: [random() * 300, random() * 200] as const }));
    const shown = arrange(names, 300, 200);
    expect(shown.length).toBeGreaterThan(5);
    expect(shown[0]?.label).toBe("cluster 0");
    for (const [i, a] of shown.entries()) {
      const half = (label: string) => label.length * 3.5;
      expect(a.x - half(a.label)).toBeGreaterThanOrEqual(0);
      for (const b of shown.slice(0, i)) {
        expect(Math.abs(a.y - b.y) > 14 || Math.abs(a.x - b.x) > half(a.label) + half(b.label)).toBe(true);
      }
    }
    expect(arrange([{ label: "out", spot: [-5, 5] }], 300, 200)).toEqual([]);
  });
});
