// Imports flow one way: contract <- data <- state <- views <- pages <- app.
// A view is reached by its api, its view or a named part of it; pages do not import each other's
// entry modules. Run by `npm run lint`.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

export const LAYERS = ["contract", "data", "state", "views", "pages", "app"];

/** Modules that a source text imports by relative names. */
export function importsOf(text) {
  const pattern = /(?:from|import)\s*\(?\s*["'](\.{1,2}\/[^"']+)["']/g;
  return [...text.matchAll(pattern)].map((match) => match[1]);
}

/** Why a file may not import another, both as `data/heads` below src; null if it may. */
export function problem(importer, imported) {
  const from = LAYERS.indexOf(importer.split("/")[0]);
  const to = LAYERS.indexOf(imported.split("/")[0]);
  if (to < 0) return "is outside of the layers";
  if (to > from) return `is above it (${LAYERS.join(" <- ")})`;
  return null;
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
  const problems = [];
  for (const path of sources(root)) {
    const text = readFileSync(path, "utf8");
    const importer = relative(root, path).split(sep).join("/");
    if (!importer.startsWith("contract/generated") && text.split("\n").length > 301) problems.push(`${importer}: over 300 lines`);
    if (/innerHTML|outerHTML|insertAdjacentHTML|document\.write/.test(text)) {
      problems.push(`${importer}: makes markup from text`);
    }
    if (!importer.startsWith("data/source") && /\bfetch\(/.test(text)) {
      problems.push(`${importer}: fetches; only data/source.ts does`);
    }
    for (const name of importsOf(text)) {
      const imported = relative(root, resolve(dirname(path), name)).split(sep).join("/");
      const reason = problem(importer, imported);
      if (reason) problems.push(`${importer}: imports ${imported}, which ${reason}`);
    }
  }
  for (const one of problems) console.error(one);
  process.exitCode = problems.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
