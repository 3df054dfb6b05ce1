import init, * as bindings from "../dist/kvorum_wasm.js";
import { KvorumError, invalid } from "./errors.js";

/** @type {Promise<void> | null} */
let loading = null;
/** @type {KvorumError | null} */
let stopped = null;

/**
 * Loads the module once. What failed may be tried again.
 * @param {import("../index.js").LoadOptions} [options]
 */
export function load(options = {}) {
  if (typeof options !== "object" || options === null) {
    return Promise.reject(invalid("the options of `load` must be an object"));
  }
  loading ??= instantiate(options.wasm).catch((cause) => {
    loading = null;
    if (cause instanceof KvorumError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new KvorumError("LOAD_FAILED", `the WebAssembly module could not be loaded: ${reason}`, { cause });
  });
  return loading;
}

/** @param {import("../index.js").LoadOptions["wasm"]} wasm */
async function instantiate(wasm) {
  if (typeof WebAssembly !== "object") throw new Error("there is no WebAssembly here");
  const source = wasm ?? new URL("../dist/kvorum.wasm", import.meta.url);
  await init({ module_or_path: await bytesOfFile(source) });
}

/**
 * Node's `fetch` reads no files. Asked of the process rather than imported, so that bundlers for pages find nothing
 * here that they would have to replace.
 * @param {NonNullable<import("../index.js").LoadOptions["wasm"]>} source
 */
async function bytesOfFile(source) {
  const isFile = (source instanceof URL && source.protocol === "file:") || (typeof source === "string" && source.startsWith("file:"));
  const files = isFile ? globalThis.process?.getBuiltinModule?.("node:fs/promises") : undefined;
  return files ? files.readFile(new URL(source)) : source;
}

/**
 * Calls into the module. All calls go through here: one that traps leaves the module's memory half changed, and no later
 * one may see it.
 * @template T
 * @param {(module: typeof bindings) => T} body
 * @returns {T}
 */
export function call(body) {
  if (stopped !== null) throw again(stopped);
  try {
    return body(bindings);
  } catch (error) {
    throw translated(error);
  }
}

/** @param {KvorumError} first */
function again(first) {
  return new KvorumError("PANICKED", first.message, { cause: first.cause });
}

/** @param {unknown} error */
function translated(error) {
  if (isTrap(error)) {
    const message = `the module has stopped for good: ${lastPanic() || error.message}`;
    stopped = new KvorumError("PANICKED", message, { cause: error });
    return again(stopped);
  }
  if (error instanceof Error) return error;
  const { code, message, retryable, refusal, script } = /** @type {any} */ (error);
  return new KvorumError(code, message, { retryable, refusal, script });
}

/**
 * A stack that overflows inside the module unwinds it like a trap. Engines name that error differently.
 * @param {unknown} error
 * @returns {error is Error}
 */
function isTrap(error) {
  if (error instanceof WebAssembly.RuntimeError) return true;
  return error instanceof Error && /call stack|recursion/.test(error.message);
}

function lastPanic() {
  try {
    return bindings.lastPanic();
  } catch {
    return ""; // Too broken even for that; what the engine said is told instead.
  }
}
