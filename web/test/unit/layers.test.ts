import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const SRC = resolve(import.meta.dirname, "../../src");
/** What a layer may import of the others: what lies below it. Words lie beside the view, and know nobody. */
const BELOW: Readonly<Record<string, readonly string[]>> = {
  engine: [],
  model: ["engine"],
  messages: [],
  view: ["model", "messages"],
};

/** Upward or sideways imports of a file's text, as sentences. */
function wrongImports(file: string, text: string): string[] {
  const layer = relative(SRC, file).split("/")[0] ?? "";
  const may = BELOW[layer];
  if (may === undefined) return [];
  const specifiers = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*["'](\.{1,2}\/[^"']+)["']/g)].map((match) => match[1] ?? "");
  return specifiers.flatMap((specifier) => {
    const other = relative(SRC, join(dirname(file), specifier)).split("/")[0] ?? "";
    return other === layer || may.includes(other) ? [] : [`${relative(SRC, file)} imports ${specifier}: ${layer} may import ${may.join(" and ") || "no other layer"}`];
  });
}

describe("layers", () => {
  it("import downward only: view, model, engine, and messages beside", () => {
    const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((name) => /\.(ts|svelte)$/.test(name));
    expect(files.length).toBeGreaterThan(50);
    expect(files.flatMap((name) => wrongImports(join(SRC, name), readFileSync(join(SRC, name), "utf8")))).toEqual([]);
  });

  it("are told by a test that sees what is wrong", () => {
    const wrong = (name: string, text: string): number => wrongImports(join(SRC, name), text).length;
    expect(wrong("engine/host.ts", 'import type { Scene } from "../model/scene.ts";')).toBe(1);
    expect(wrong("model/app.svelte.ts", 'export { t } from "../messages/index.svelte.ts";')).toBe(1);
    expect(wrong("model/a.ts", 'const { x } = await import("../view/x.ts");')).toBe(1);
    expect(wrong("view/stage/Stage.svelte", 'import { Engine } from "../../engine/client.ts";')).toBe(1);
    expect(wrong("view/stage/Stage.svelte", 'import { t } from "../../messages/index.svelte.ts"; import "../parts/Icon.svelte";')).toBe(0);
    expect(wrong("model/app.svelte.ts", 'import { Host } from "../engine/host.ts"; import "./scene.ts"; import "kvorum";')).toBe(0);
  });
});
