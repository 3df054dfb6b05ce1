/**
 * What the page reads of a script, which is core's own notation: why one was refused, and what its lines put.
 *
 * Knows no more of the grammar than that; whether a text is a script is for core to say.
 */
import type { ScriptFault, ScriptProblem } from "kvorum";
import type { Reason } from "./protocol.ts";

/** By what is wrong. */
const REASONS: Readonly<Record<ScriptProblem, Reason["code"]>> = {
  noLine: "scriptNoLine",
  tooLong: "scriptTooLong",
  noTime: "scriptNoTime",
  noAction: "scriptNoAction",
  noNode: "scriptNoNode",
  noNumber: "scriptNoNumber",
  tooLarge: "scriptTooLarge",
  noWord: "scriptNoWord",
  noOption: "scriptNoOption",
};

/** Of a long line, as much as tells which it is. */
const FOUND_LENGTH_MAX = 60;

/** Why core refused a script. */
export function scriptReason({ line, problem, found, most }: ScriptFault): Reason {
  return { code: REASONS[problem], holes: { line, found: cut(found), ...(most === undefined ? {} : { most }) } };
}

/** What came with an error, if it is a script's fault. */
export function scriptFaultOf(found: unknown): ScriptFault | null {
  if (typeof found !== "object" || found === null) return null;
  const { line, problem, found: words, most } = found as Partial<Record<string, unknown>>;
  if (typeof line !== "number" || !isProblem(problem) || typeof words !== "string") return null;
  return { line, problem, found: words, ...(typeof most === "number" ? { most } : {}) };
}

function isProblem(problem: unknown): problem is ScriptProblem {
  return typeof problem === "string" && Object.hasOwn(REASONS, problem);
}

/** When the last line of a script is done; core prints them in order of time. */
export function lastLineUs(script: string): number {
  return timeOf(script.trimEnd().split("\n").at(-1) ?? "") ?? 0;
}

/** What one line puts, and where and when. */
export interface Put {
  atUs: number;
  node: number;
  key: string;
  value: string;
}

/** All puts of a script, in its order. A value that is no text is left out. */
export function putsOf(script: string): Put[] {
  const puts: Put[] = [];
  for (const line of script.split("\n")) {
    const parts = /^at \S+ put n(\d+) (\S+) (\S+)/.exec(line);
    const atUs = timeOf(line);
    if (parts === null || atUs === null) continue;
    const [, node, key, value] = parts.map((part, index) => (index < 2 ? part : wordOf(part)));
    if (key !== null && value !== null && key !== undefined && value !== undefined) puts.push({ atUs, node: Number(node), key, value });
  }
  return puts;
}

/** Seconds with up to six decimals, as text: no floating point, so that it is the very microsecond. */
function timeOf(line: string): number | null {
  const parts = /^at (\d+)(?:\.(\d{1,6}))?s /.exec(line);
  return parts === null ? null : Number(parts[1]) * 1_000_000 + Number((parts[2] ?? "").padEnd(6, "0"));
}

/** `''` is an empty one, `%41` a byte. */
function wordOf(word: string): string | null {
  if (word === "''") return "";
  try {
    return decodeURIComponent(word);
  } catch {
    return null;
  }
}

function cut(text: string): string {
  return text.length > FOUND_LENGTH_MAX ? `${text.slice(0, FOUND_LENGTH_MAX - 1)}…` : text;
}
