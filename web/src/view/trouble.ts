/** Troubles as sentences. */
import { type MessageKey, lookUp, t } from "../messages/index.svelte.ts";
import type { Reason, Trouble } from "../model/scene.ts";

/** `holes`: what the view knows of, if the trouble does not say. */
export function sentenceOf({ code, holes, reason }: Trouble, more: Trouble["holes"] = {}): string {
  // Every code has its sentence, or this does not compile.
  const key: MessageKey = `error.${code}`;
  return lookUp(key, "error.panicked", { ...more, ...holes, ...(reason === undefined ? {} : { what: phraseOf(reason) }) });
}

function phraseOf({ code, holes }: Reason): string {
  const key: MessageKey = `reason.${code}`;
  // A part of the link has its name in the link; all of it is called what the reader calls it.
  return lookUp(key, "reason.damaged", { ...holes, field: holes["field"] ?? t("reason.it") });
}

export { isPassing } from "../model/passing.ts";
