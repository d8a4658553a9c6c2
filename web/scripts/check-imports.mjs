// Check the imports of the sources; `npm run lint` runs this.
//
// Imports go one way: contract <- data <- state <- views <- pages <- app <- viewer,
// and no two modules import
// each other, directly or through others.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

export const LAYERS = ["contract", "data", "state", "views", "pages", "app", "viewer"];

/** Return the relative paths that a source text imports. */
export function importsOf(text) {
  const pattern = /(?:from|import)\s*\(?\s*["'](\.{1,2}\/[^"']+)["']/g;
  return [...text.matchAll(pattern)].map((match) => match[1]);
}

/** Say why a module may not import another (paths below src, as `data/heads`); null if it may. */
export function problem(importer, imported) {
  const from = LAYERS.indexOf(importer.split("/")[0]);
  const to = LAYERS.indexOf(imported.split("/")[0]);
  if (to < 0) return "is outside of the layers";
  if (to > from) return `is in a higher layer (${LAYERS.join(" <- ")})`;
  return null;
}

/** Return the circles of a graph, each as the modules along it. `graph`: module -> its imports. */
export function circles(graph) {
  const found = [];
  const finished = new Set();
  const path = [];
  const visit = (module) => {
    const start = path.indexOf(module);
    if (start >= 0) found.push([...path.slice(start), module]);
    if (start >= 0 || finished.has(module)) return;
    path.push(module);
    for (const imported of graph.get(module) ?? []) visit(imported);
    path.pop();
    finished.add(module);
  };
  for (const module of graph.keys()) visit(module);
  return found;
}

function* sources(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* sources(path);
    else if (/\.tsx?$/.test(name)) yield path;
  }
}

function main() {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), "../src");
  const below = (path) => relative(root, path).split(sep).join("/");
  const problems = [];
  const graph = new Map();
  for (const path of sources(root)) {
    const text = readFileSync(path, "utf8");
    const importer = below(path);
    if (!importer.startsWith("contract/generated") && text.split("\n").length > 301) {
      problems.push(`${importer}: has more than 300 lines`);
    }
    if (/innerHTML|outerHTML|insertAdjacentHTML|document\.write/.test(text)) {
      problems.push(`${importer}: makes markup from text`);
    }
    if (!importer.startsWith("data/source") && /\bfetch\(/.test(text)) {
      problems.push(`${importer}: fetches; only data/source.ts may`);
    }
    const imports = importsOf(text).map((name) => below(resolve(dirname(path), name)));
    for (const imported of imports) {
      const reason = problem(importer, imported);
      if (reason) problems.push(`${importer}: imports ${imported}, which ${reason}`);
    }
    graph.set(importer.replace(/\.tsx?$/, ""), imports);
  }
  for (const circle of circles(graph)) problems.push(`circle of imports: ${circle.join(" -> ")}`);
  for (const line of problems) console.error(line);
  process.exitCode = problems.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
