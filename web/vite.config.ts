import { createReadStream, existsSync, statSync } from "node:fs";
import { join, normalize, resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";

/** `SITE_DATA=folder npm run dev` serves the data of an exported site under `data/`. */
function siteData(folder: string | undefined): Plugin {
  return {
    name: "site-data",
    configureServer(server) {
      if (folder === undefined) return;
      server.middlewares.use((request, response, next) => {
        const path = decodeURIComponent((request.url ?? "/").split("?")[0] ?? "/");
        const file = join(resolve(folder), normalize(path.replace(/^\/data\//, "/")));
        if (!path.startsWith("/data/") || !existsSync(file) || !statSync(file).isFile()) {
          return next();
        }
        createReadStream(file).pipe(response);
      });
    },
  };
}

export default defineConfig({
  // Relative, so that the same folder works at any address and from a subfolder.
  base: "./",
  build: {
    outDir: process.env["SITE_OUT"] ?? "../src/attention_motifs/site/assets",
    emptyOutDir: true,
    // Everything is a file of its own: the Content-Security-Policy allows nothing inline.
    assetsInlineLimit: 0,
    // Few files, since a browser asks a host for six at a time and the data wait behind scripts: one
    // style sheet, and one script of what three pages or more use.
    cssCodeSplit: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          includeDependenciesRecursively: false,
          groups: [{ name: "shared", test: /[\\/](src[\\/](?!app[\\/])|node_modules[\\/](?!katex))/, minShareCount: 3 }],
        },
      },
    },
    target: "es2022",
    chunkSizeWarningLimit: 1000,
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [siteData(process.env["SITE_DATA"])],
});
