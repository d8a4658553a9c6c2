import { join } from "node:path";
import { defineConfig } from "vite";

/** The viewer of notebooks: one script and one style sheet, which Python writes into a document. */
export default defineConfig({
  build: {
    outDir: join(process.env["SITE_OUT"] ?? "../src/attention_motifs/site/assets", "viewer"),
    emptyOutDir: true,
    target: "es2022",
    lib: {
      entry: "src/viewer/main.tsx",
      formats: ["iife"],
      name: "viewer",
      fileName: () => "viewer.js",
      cssFileName: "viewer",
    },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});
