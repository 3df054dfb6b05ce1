import { fileURLToPath } from "node:url";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

export default defineConfig({
  // Relative, so that the same build works from any folder of a static host and from the server's admin port.
  base: "./",
  plugins: [svelte()],
  resolve: {
    alias: [{ find: /^kvorum$/, replacement: path("../wasm/npm/index.js") }],
  },
  worker: { format: "es" },
  build: {
    target: "es2022",
    sourcemap: false,
    // A strict CSP allows no inline scripts and no data: fonts; every file stays a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { fs: { allow: [path("."), path("../wasm/npm")] } },
  test: {
    include: ["test/unit/**/*.test.ts"],
    environment: "node",
  },
});
