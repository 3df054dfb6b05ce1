/**
 * What the page reads of a script, which is core's own notation: why one was refused, and what its lines put.
 *
 * Knows no more of the grammar than that; whether a text is a script is for core to say.
 */
import type { Reason } from "./protocol.ts";

type Kind = Extract<Reason["code"], `script${string}`>;

/**
 * Core's error carries its line and its sentence, not yet its kind. Here the kind is taken from the sentence's own shape, in
 * this one place, until the error carries it; what has no such shape is told as the line that it is about.
 */
const SHAPES: readonly (readonly [RegExp, Kind])[] = [
  [/^expected `at TIME ACTION`, found `(?<found>.*)`$/s, "scriptNoLine"],
  [/^more than (?<most>\d+) lines$/, "scriptTooLong"],
  [/^`(?<found>.*)` is no time;/s, "scriptNoTime"],
  [/^`(?<found>.*)` is no action$/s, "scriptNoAction"],
  [/^`(?<found>.*)` is no node;.* to n(?<most>\d+)$/s, "scriptNoNode"],
  [/^`(?<found>.*)` is no number of/s, "scriptNoNumber"],
  [/^`(?<found>.*)`: at most (?<most>\d+)/s, "scriptTooLarge"],
  [/^`(?<found>.*)` is no key or value;/s, "scriptNoWord"],
  [/^`(?<found>.*)` is no NAME=NUMBER$/s, "scriptNoOption"],
  [/^`(?<found>.*)` is no (?:option|rate)\b/s, "scriptNoOption"],
];

/** Of a long line, as much as tells which it is. */
const FOUND_LENGTH_MAX = 60;

/** Why core refused a script; `script` is what was given to it. */
export function scriptReason(message: string, script: string | null): Reason {
  const parts = /^line (\d+) of the script: (.*)$/s.exec(message);
  if (parts === null) return { code: "core", holes: { words: message } };
  const [, line = "0", problem = ""] = parts;
  for (const [shape, code] of SHAPES) {
    const found = shape.exec(problem);
    if (found !== null) return { code, holes: { line: Number(line), ...holesOf(found.groups) } };
  }
  const text = script?.split(/\r?\n/)[Number(line) - 1] ?? "";
  return { code: "scriptLine", holes: { line: Number(line), found: cut(text.trim()) } };
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

function holesOf(groups: Record<string, string> | undefined): Record<string, string | number> {
  const { found, most } = groups ?? {};
  return { ...(found === undefined ? {} : { found: cut(found) }), ...(most === undefined ? {} : { most: Number(most) }) };
}

function cut(text: string): string {
  return text.length > FOUND_LENGTH_MAX ? `${text.slice(0, FOUND_LENGTH_MAX - 1)}…` : text;
}
