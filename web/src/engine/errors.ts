/** What errors of the package mean to the page: which of them end a world, and what is said of them. */
import type { ScriptFault } from "kvorum";
import type { Reason, Reproduction, Trouble } from "./protocol.ts";
import { scriptFaultOf, scriptReason } from "./script.ts";

export interface PackageError {
  code: string | null;
  refusal: string | null;
  message: string;
  /** What is wrong with a script, if that is what it is about. */
  script: ScriptFault | null;
}

export function errorOf(error: unknown): PackageError {
  const text = (value: unknown): string | null => (typeof value === "string" ? value : null);
  if (!(error instanceof Error)) return { code: null, refusal: null, message: String(error), script: null };
  const code = "code" in error ? text(error.code) : null;
  const refusal = "refusal" in error ? text(error.refusal) : null;
  const script = "script" in error ? scriptFaultOf(error.script) : null;
  return { code, refusal, message: error.message, script };
}

/** A world that stopped, or could not begin; `last` leads to the moment before. */
export function troubleOf({ code, message, script }: PackageError, last: Reproduction | null): Trouble {
  switch (code) {
    case "BAD_SCRIPT":
      return { code: "badScript", holes: {}, reason: script === null ? { code: "core", holes: { words: message } } : scriptReason(script) };
    case "INVALID_ARGUMENT":
    case "NOT_DONE":
      return { code: "badLink", holes: {}, reason: { code: "core", holes: { words: message } } };
    case "LOAD_FAILED":
      return { code: hasWasm() ? "notLoaded" : "noWasm", holes: { what: message } };
    default:
      // A panic, or what only a panic leaves behind.
      return { code: "panicked", holes: { what: message, event: String(last?.events ?? 0) } };
  }
}

/** A browser may give it to pages and keep it from workers. */
function hasWasm(): boolean {
  return typeof WebAssembly === "object";
}

/** Nothing was done, and the world goes on. */
export function isRefusal(code: string | null): boolean {
  return code === "NOT_DONE" || code === "INVALID_ARGUMENT" || code === "SCRIPT_FULL";
}

export function isAnswer(code: string | null): boolean {
  return isRefusal(code) || code === "IN_DOUBT";
}

/** What a refusal was about, of something that was asked of a world that goes on. */
export function refusalReason(code: string | null, message: string): Reason {
  return code === "SCRIPT_FULL" ? { code: "scriptFull", holes: {} } : { code: "core", holes: { words: message } };
}
