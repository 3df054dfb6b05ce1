import { invalid } from "./errors.js";

export const KEY_BYTES_MAX = 65_535;
export const VALUE_BYTES_MAX = 16 * 1024 * 1024;

const encoder = new TextEncoder();

/** @param {unknown} value */
function kind(value) {
  if (value === null) return "null";
  return typeof value === "object" ? (value.constructor?.name ?? "an object") : typeof value;
}

/**
 * @param {unknown} value
 * @param {string} name
 * @param {number} bytesMax
 * @returns {Uint8Array}
 */
function toBytes(value, name, bytesMax) {
  if (typeof value === "string") {
    // Half a surrogate pair has no UTF-8; replacing it would make one key of two.
    if (/\p{Surrogate}/u.test(value)) throw invalid(`${name} is text with half a surrogate pair in it`);
    value = encoder.encode(value);
  }
  if (!(value instanceof Uint8Array)) throw invalid(`${name} must be a string or a Uint8Array, not ${kind(value)}`);
  if (value.length > bytesMax) {
    throw invalid(`${name} has ${value.length} bytes; at most ${bytesMax} are allowed`);
  }
  return value;
}

/** @param {unknown} key */
export function keyBytes(key, name = "the key") {
  return toBytes(key, name, KEY_BYTES_MAX);
}
/** @param {unknown} value */
export function valueBytes(value, name = "the value") {
  return toBytes(value, name, VALUE_BYTES_MAX);
}

/**
 * A plain object whose names are all known: a misspelt option is told, not ignored.
 * @param {unknown} options
 * @param {string} name
 * @param {readonly string[]} known
 * @returns {Record<string, any>}
 */
export function optionsOf(options, name, known) {
  if (options === undefined) return {};
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalid(`${name} must be an object, not ${Array.isArray(options) ? "an array" : kind(options)}`);
  }
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown !== undefined) throw invalid(`\`${unknown}\` is none of ${name}; there are ${known.join(", ")}`);
  return options;
}

/**
 * @param {unknown} value
 * @param {string} name
 * @param {number} least
 * @param {number} most
 * @returns {number}
 */
export function integer(value, name, least, most) {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    const found = typeof value === "number" ? String(value) : kind(value);
    throw invalid(`\`${name}\` must be a whole number from ${least} to ${most}, not ${found}`);
  }
  return value;
}

/**
 * @template {string} T
 * @param {unknown} value
 * @param {string} name
 * @param {readonly T[]} choices
 * @returns {T}
 */
export function choice(value, name, choices) {
  const found = choices.find((known) => known === value);
  if (found !== undefined) return found;
  throw invalid(`\`${name}\` must be ${choices.map((known) => `"${known}"`).join(" or ")}, not ${typeof value === "string" ? `"${value}"` : kind(value)}`);
}

/** @param {unknown} value @param {string} name */
export function flag(value, name) {
  if (typeof value !== "boolean") throw invalid(`\`${name}\` must be true or false, not ${kind(value)}`);
  return value;
}
