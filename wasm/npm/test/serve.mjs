import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };
// What a strict site sends: the module needs nothing beyond `wasm-unsafe-eval`.
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'";

/**
 * Serves the files of a folder below `/kvorum/`, and `pages` by their paths, on the loopback address.
 * @param {string} folder
 * @param {Record<string, string>} pages
 */
export async function serve(folder, pages) {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname));
    const headers = { "content-type": TYPES[extname(path)] ?? "text/html", "content-security-policy": POLICY };
    try {
      const body = pages[path] ?? (await readFile(join(folder, path.replace(/^\/kvorum\//, ""))));
      response.writeHead(200, headers).end(body);
    } catch {
      response.writeHead(404, headers).end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", () => done()));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { address: `http://127.0.0.1:${port}`, close: () => new Promise((done) => server.close(done)) };
}
