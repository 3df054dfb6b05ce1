/** The one class of errors of this package: `code` says what the caller can do, `message` what happened. */
export class KvorumError extends Error {
  /**
   * @param {import("../index.js").KvorumErrorCode} code
   * @param {string} message
   * @param {{ retryable?: boolean, refusal?: string | null, script?: import("../index.js").ScriptFault | null, cause?: unknown }} [more]
   */
  constructor(code, message, more = {}) {
    super(message, "cause" in more ? { cause: more.cause } : undefined);
    this.name = "KvorumError";
    this.code = code;
    this.retryable = more.retryable ?? false;
    this.refusal = more.refusal ?? null;
    this.script = more.script ?? null;
  }
}

/** @param {string} message */
export function invalid(message) {
  return new KvorumError("INVALID_ARGUMENT", message);
}
