/**
 * A static host with the strict policy that the server has, a browser, and pages that are driven by virtual time: nothing
 * here sleeps, every wait is for something that the page itself says.
 */
import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
export const PACKAGE = fileURLToPath(new URL("../../../wasm/npm/", import.meta.url));

export const POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "connect-src 'self' ws: http:",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
].join("; ");

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".wasm": "application/wasm",
  ".json": "application/json",
  ".svg": "image/svg+xml",
};

/** As long as a busy machine may need; a page that works answers at once. */
export const PATIENCE_MS = 30_000;

/**
 * Serves folders by prefix. The page lies in a folder of its own, so that an absolute path in it is found out.
 * @param {Record<string, string>} folders
 * @param {number} port 0: any that is free.
 */
export async function serve(folders = { "/some/folder/": DIST, "/npm/": PACKAGE }, port = 0) {
  // A test that failed must not keep the process.
  const server = createServer((request, response) => {
    void answer(folders, request.url ?? "/", response);
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(undefined)));
  server.unref();
  const address = server.address();
  assert(typeof address === "object" && address !== null);
  const origin = `http://127.0.0.1:${address.port}`;
  return {
    origin,
    port: address.port,
    page: `${origin}/some/folder/index.html`,
    close: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(resolve);
    }),
  };
}

async function answer(folders, url, response) {
  const path = decodeURIComponent(new URL(url, "http://host").pathname);
  const prefix = Object.keys(folders).find((one) => path.startsWith(one));
  const file = prefix === undefined ? null : normalize(join(folders[prefix], path.slice(prefix.length)));
  try {
    if (file === null || !file.startsWith(normalize(folders[prefix])) || !(await stat(file)).isFile()) throw new Error("no file");
    const bytes = await readFile(file);
    response.writeHead(200, {
      "content-type": TYPES[extname(file)] ?? "application/octet-stream",
      "content-security-policy": POLICY,
      "x-content-type-options": "nosniff",
    });
    response.end(bytes);
  } catch {
    response.writeHead(404, { "content-type": "text/plain" });
    response.end("not found");
  }
}

/**
 * A browser and the built page on a static host, for all tests of a file: what is in it is there once they begin.
 * @param {{ flags?: string[] }} [how] Flags of the browser beside the usual ones.
 * @returns {{ browser: import("playwright-core").Browser, site: Awaited<ReturnType<typeof serve>> }}
 */
export function fixture({ flags = [] } = {}) {
  /** @type {any} */
  const made = {};
  before(async () => {
    made.browser = await launch(...flags);
    made.site = await serve();
  });
  after(async () => {
    await made.browser?.close();
    await made.site?.close();
  });
  return made;
}

export function launch(...more) {
  const executablePath = process.env.CHROMIUM;
  if (!executablePath) throw new Error("CHROMIUM names no browser: CHROMIUM=$(command -v chromium) npm run test:e2e");
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...more,
    ],
  });
}

/**
 * Opens a page in a profile of its own and waits until it shows something: a picture, or what is wrong.
 * @param {import("playwright-core").Browser} browser
 * @param {string} url
 * @param {{ language?: string, theme?: string, width?: number, height?: number, motion?: "reduce" | "no-preference", allow?: RegExp,
 *   before?: (page: import("playwright-core").Page) => Promise<unknown> }} [options]
 */
export async function open(browser, url, options = {}) {
  const { language = "en", theme = "dark", width = 1440, height = 900, motion = "reduce" } = options;
  const context = await browser.newContext({ viewport: { width, height }, reducedMotion: motion });
  context.setDefaultTimeout(PATIENCE_MS);
  await context.addInitScript(
    ([language, theme]) => {
      localStorage.setItem("kvorum.language", language);
      localStorage.setItem("kvorum.theme", theme);
    },
    [language, theme],
  );
  const page = await context.newPage();
  /** @type {string[]} */
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`error: ${error.stack ?? error.message}`));
  page.on("console", (message) => {
    // A static host has no /status: that question is how a page finds out.
    if (message.type() === "error" && !message.location().url.includes("/status")) complaints.push(message.text());
  });
  await options.before?.(page);
  await page.goto(url);
  await page.waitForFunction(() => window.kvorum !== undefined && !window.kvorum.scene.isLoading);
  return {
    page,
    /** What the page complained of. */
    complaints: () => complaints.filter((text) => !(options.allow ?? /$^/).test(text)),
    close: async () => {
      await context.close();
      assert.deepEqual([...new Set(complaints)].filter((text) => !(options.allow ?? /$^/).test(text)), []);
    },
  };
}

/** What the page shows, as plain values. */
export function sceneOf(page) {
  return page.evaluate(() => {
    const scene = window.kvorum.scene;
    /** @type {Record<string, unknown>} */
    const copy = {};
    for (const name in scene) copy[name] = scene[name];
    return JSON.parse(JSON.stringify(copy));
  });
}

/** Does one of the page's actions, by name. */
export function act(page, name, ...args) {
  return page.evaluate(([name, args]) => window.kvorum.actions[name](...args), [name, args]);
}

/** Lets virtual time go by. */
export function pass(page, us) {
  return page.evaluate((us) => window.kvorum.run({ until: window.kvorum.scene.nowUs + us }), us);
}

/** Waits until the page shows something, without letting virtual time go by. */
export async function shows(page, isShown, arg) {
  await page.waitForFunction(isShown, arg, { polling: 20 });
}

/**
 * Lets virtual time go by, slice after slice, until the page shows what is awaited.
 * @param {import("playwright-core").Page} page
 * @param {(scene: any) => boolean} isReached
 * @param {{ sliceUs?: number, withinUs?: number, what: string }} how
 *   Two thousand slices are as many as can be looked at.
 */
export async function passUntil(page, isReached, { sliceUs = 5_000, withinUs = 2_000 * sliceUs, what }) {
  for (let passed = 0; passed <= withinUs; passed += sliceUs) {
    const scene = await sceneOf(page);
    if (isReached(scene)) return scene;
    if (scene.trouble !== null) assert.fail(`${what}: ${JSON.stringify(scene.trouble)}`);
    await pass(page, sliceUs);
  }
  const scene = await sceneOf(page);
  if (isReached(scene)) return scene;
  assert.fail(`after ${withinUs} µs still not: ${what}\n${JSON.stringify(summary(scene), null, 1)}`);
}

function summary(scene) {
  const { nowUs, events, requests, keyPicture, verdict, marks } = scene;
  return { nowUs, events, requests: requests.slice(-3), keyPicture, verdict, marks: marks.slice(-10), nodes: scene.picture?.nodes };
}

/** Sends one request and waits for its outcome, in virtual time. */
export async function send(page, draft) {
  const before = (await sceneOf(page)).requests.length;
  await act(page, "setDraft", { r: null, w: null, ...draft });
  await act(page, "send");
  await shows(page, (before) => window.kvorum.scene.requests.length > before, before);
  const scene = await passUntil(page, (now) => now.requests[before]?.outcome !== "running", {
    what: `${draft.verb} ${draft.key} through ${draft.through} ends`,
  });
  return scene.requests[before];
}
