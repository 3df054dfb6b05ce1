/** What the composer may send: limits as core has them, told before anything is sent. */
import { KEY_BYTES_MAX, VALUE_BYTES_MAX } from "../engine/limits.ts";
import type { Scene, Trouble } from "./scene.ts";

const UTF8 = new TextEncoder();

/** What is wrong with a draft, and in which field; `null` if nothing is. */
export function checkDraft(draft: Scene["draft"]): Scene["fieldTrouble"] {
  if (draft.key.length === 0) return { field: "key", trouble: { code: "emptyKey", holes: {} } };
  const key = tooLong("keyTooLong", draft.key, KEY_BYTES_MAX);
  if (key !== null) return { field: "key", trouble: key };
  const value = draft.verb === "put" ? tooLong("valueTooLong", draft.value, VALUE_BYTES_MAX) : null;
  return value === null ? null : { field: "value", trouble: value };
}

/** Bytes of a text as UTF-8. */
export function bytesOf(text: string): number {
  return UTF8.encode(text).length;
}

function tooLong(code: Trouble["code"], text: string, bytesMax: number): Trouble | null {
  // A character has at most three bytes for each unit of its text.
  if (text.length * 3 <= bytesMax) return null;
  const bytes = bytesOf(text);
  return bytes <= bytesMax ? null : { code, holes: { bytes, max: bytesMax } };
}
