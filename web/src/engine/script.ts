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

function holesOf(groups: Record<string, string> | undefined): Record<string, string | number> {
  const { found, most } = groups ?? {};
  return { ...(found === undefined ? {} : { found: cut(found) }), ...(most === undefined ? {} : { most: Number(most) }) };
}

function cut(text: string): string {
  return text.length > FOUND_LENGTH_MAX ? `${text.slice(0, FOUND_LENGTH_MAX - 1)}…` : text;
}
