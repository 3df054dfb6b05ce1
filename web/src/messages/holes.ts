/** Holes of a text: names in braces, filled when the text is shown. */

const HOLE = /\{(\w+)\}/g;

/** Their names, sorted, each once: for a test that all languages have the same. */
export function holesIn(text: string): string[] {
  return [...new Set([...text.matchAll(HOLE)].map((match) => match[1] ?? ""))].sort();
}

/** What has no value stays as it is written, so that the mistake is seen. */
export function fill(text: string, valueOf: (name: string) => string | undefined): string {
  return text.replace(HOLE, (whole, name: string) => valueOf(name) ?? whole);
}
