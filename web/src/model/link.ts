/**
 * A link is a reproduction: `#v1.` and base64url(deflate-raw(JSON)) of a seed, options, a script and a count of events.
 *
 * What comes in is somebody else's text: it is read by hand into types, under limits, and every refusal says what is wrong.
 */
import type { Resolve } from "kvorum";
import { isRecord } from "../engine/json.ts";
import { KEY_BYTES_MAX, NODE_COUNT_MAX, PARTITION_COUNT_MIN, SLOT_COUNT } from "../engine/limits.ts";
import type { Reason, Reproduction, Trouble, WorldOptions } from "../engine/protocol.ts";
import { bytesOf } from "./draft.ts";
import type { Scene } from "./scene.ts";

const PREFIX = "#v1.";
/** Characters of a link that are looked at. */
const LINK_LENGTH_MAX = 64 << 10;
/** Bytes that they may unfold to: a few bytes of deflate can claim gigabytes. */
const JSON_BYTES_MAX = 1 << 20;
const SCRIPT_BYTES_MAX = 512 << 10;
const SEED_MAX = (1n << 64n) - 1n;

export interface Link {
  world: WorldOptions;
  script: string | null;
  events: number | null;
  /** What must come out, if the same build reads it. */
  digest: string | null;
  key: string | null;
  node: number | null;
  /** Quorums that the page asks for, where they are not the keyspace's own. */
  quorum: { r: number; w: number } | null;
  language: "en" | "ko" | null;
  view: Scene["view"] | null;
}

/** Where a page begins. */
export type Start =
  | { kind: "world"; link: Link }
  | { kind: "live"; address: string }
  | { kind: "trouble"; trouble: Trouble }
  /** The address says nothing. */
  | { kind: "default" };

export type Parsed<T> = { ok: true; value: T } | { ok: false; reason: Reason };

const good = <T>(value: T): Parsed<T> => ({ ok: true, value });
const bad = (code: Reason["code"], holes: Reason["holes"] = {}): { ok: false; reason: Reason } => ({ ok: false, reason: { code, holes } });

/** Reads where to begin from the page's address. */
export async function startOf(location: { hash: string; search: string }): Promise<Start> {
  const { hash } = location;
  if (hash.length > 1) {
    if (!hash.startsWith(PREFIX)) {
      return /^#v\d+\./.test(hash)
        ? badLink({ code: "laterVersion", holes: {} })
        : badLink({ code: "prefix", holes: {} });
    }
    const link = await decodeLink(hash.slice(PREFIX.length));
    return link.ok ? { kind: "world", link: link.value } : badLink(link.reason);
  }
  const query = new URLSearchParams(location.search);
  const address = query.get("live");
  if (address !== null) {
    const parsed = parseAddress(address);
    return parsed.ok ? { kind: "live", address: parsed.value } : badLink(parsed.reason);
  }
  const seed = query.get("seed");
  if (seed === null) return { kind: "default" };
  const parsed = parseSeed(seed);
  if (!parsed.ok) return { kind: "trouble", trouble: { code: "badSeed", holes: { seed: seed.slice(0, 40) } } };
  return { kind: "world", link: { ...EMPTY, world: { seed: parsed.value } } };
}

function badLink(reason: Reason): Start {
  return { kind: "trouble", trouble: { code: "badLink", holes: {}, reason } };
}

const EMPTY: Omit<Link, "world"> = {
  script: null,
  events: null,
  digest: null,
  key: null,
  node: null,
  quorum: null,
  language: null,
  view: null,
};

/** The fragment that leads to the same state, from any page of this build. What could not be read back is not made. */
export async function encodeLink(
  reproduction: Reproduction,
  shown: Pick<Link, "key" | "node" | "quorum" | "language" | "view">,
): Promise<Parsed<string>> {
  const { options, script, events, digest } = reproduction;
  const { seed, drawn, ...rest } = options;
  // Drawn options come of the seed again; naming them would make it another kind of world.
  const value = { seed, ...(drawn ? {} : { options: rest }), script, events, digest, ...withoutNull(shown) };
  const isReadable = parseLink(value);
  if (!isReadable.ok) return isReadable;
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  if (bytes.length > JSON_BYTES_MAX) return bad("unfolds");
  const text = toBase64Url(await through(bytes, new CompressionStream("deflate-raw"), Infinity));
  return text.length > LINK_LENGTH_MAX ? bad("lengthInCharacters", { max: LINK_LENGTH_MAX }) : good(PREFIX + text);
}

/** Reads what follows `#v1.`. */
export async function decodeLink(text: string): Promise<Parsed<Link>> {
  if (text.length > LINK_LENGTH_MAX) return bad("lengthInCharacters", { max: LINK_LENGTH_MAX });
  const packed = fromBase64Url(text);
  if (packed === null) return bad("characters");
  let json: string;
  try {
    const bytes = await through(packed, new DecompressionStream("deflate-raw"), JSON_BYTES_MAX);
    json = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    return bad(error instanceof TooLong ? "unfolds" : "damaged");
  }
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return bad("json");
  }
  return parseLink(value);
}

function parseLink(value: unknown): Parsed<Link> {
  if (!isRecord(value)) return bad("object");
  const seed = of("seed", parseSeed(value["seed"]));
  if (!seed.ok) return seed;
  const options = value["options"] === undefined ? good<Partial<WorldOptions>>({}) : parseOptions(value["options"]);
  if (!options.ok) return options;
  const script = optional(value, "script", text(SCRIPT_BYTES_MAX));
  if (!script.ok) return script;
  const events = optional(value, "events", whole(0, 1_000_000_000));
  if (!events.ok) return events;
  const digest = optional(value, "digest", parseDigest);
  if (!digest.ok) return digest;
  const key = optional(value, "key", text(KEY_BYTES_MAX));
  if (!key.ok) return key;
  const node = optional(value, "node", whole(0, NODE_COUNT_MAX - 1));
  if (!node.ok) return node;
  const quorum = optional(value, "quorum", parseQuorum);
  if (!quorum.ok) return quorum;
  const language = optional(value, "language", oneOf(["en", "ko"] as const));
  if (!language.ok) return language;
  const view = optional(value, "view", oneOf(["cluster", "request"] as const));
  if (!view.ok) return view;
  // Of a drawn world N is not known before it is opened.
  const most = options.value.n ?? (value["options"] === undefined ? NODE_COUNT_MAX : Math.min(3, options.value.nodes ?? 5));
  for (const [name, count] of Object.entries(quorum.value ?? {})) {
    if (count > most) return bad("range", { field: `quorum.${name}`, least: 1, most });
  }
  return good({
    world: { seed: seed.value, ...options.value },
    script: script.value,
    events: events.value,
    digest: digest.value,
    key: key.value,
    node: node.value,
    quorum: quorum.value,
    language: language.value,
    view: view.value,
  });
}

const parseQuorum: Read<{ r: number; w: number }> = (value) => {
  const { r, w } = isRecord(value) ? value : {};
  const [readers, writers] = [whole(1, NODE_COUNT_MAX)(r), whole(1, NODE_COUNT_MAX)(w)];
  return readers.ok && writers.ok ? good({ r: readers.value, w: writers.value }) : bad("quorum", { least: 1, most: NODE_COUNT_MAX });
};

function parseOptions(value: unknown): Parsed<Partial<WorldOptions>> {
  if (!isRecord(value)) return bad("object", { field: "options" });
  const nodes = optional(value, "nodes", whole(1, NODE_COUNT_MAX));
  if (!nodes.ok) return nodes;
  const n = optional(value, "n", whole(1, NODE_COUNT_MAX));
  if (!n.ok) return n;
  const r = optional(value, "r", whole(1, NODE_COUNT_MAX));
  if (!r.ok) return r;
  const w = optional(value, "w", whole(1, NODE_COUNT_MAX));
  if (!w.ok) return w;
  const resolve = optional(value, "resolve", oneOf<Resolve>(["lww", "siblings"]));
  if (!resolve.ok) return resolve;
  const partitions = optional(value, "partitions", whole(PARTITION_COUNT_MIN, SLOT_COUNT));
  if (!partitions.ok) return partitions;
  const memtableBytes = optional(value, "memtableBytes", whole(1_024, 64 << 20));
  if (!memtableBytes.ok) return memtableBytes;
  const unfit = unfitOptions({ nodes: nodes.value, n: n.value, r: r.value, w: w.value, partitions: partitions.value });
  if (unfit !== null) return unfit;
  return good(
    withoutNull({
      nodes: nodes.value,
      n: n.value,
      r: r.value,
      w: w.value,
      resolve: resolve.value,
      partitions: partitions.value,
      memtableBytes: memtableBytes.value,
    }),
  );
}

/** Options that are whole numbers each, and do not go together. What is left out is as core has it. */
function unfitOptions(options: { nodes: number | null; n: number | null; r: number | null; w: number | null; partitions: number | null }): Parsed<never> | null {
  const nodes = options.nodes ?? 5;
  const n = options.n ?? Math.min(3, nodes);
  for (const [field, value, most] of [["n", options.n, nodes], ["r", options.r, n], ["w", options.w, n]] as const) {
    if (value !== null && value > most) return bad("range", { field, least: 1, most });
  }
  const { partitions } = options;
  return partitions !== null && !Number.isInteger(Math.log2(partitions)) ? bad("powerOfTwo", { field: "partitions" }) : null;
}

/** 64 bits, as decimal or `0x` text. Never a JSON number, which may have lost its last digits before it came here. */
export function parseSeed(value: unknown): Parsed<string> {
  if (typeof value !== "string" || !/^(\d{1,20}|0x[0-9a-f]{1,16})$/i.test(value.trim())) {
    return bad("seed");
  }
  const seed = BigInt(value.trim());
  return seed <= SEED_MAX ? good(seed.toString()) : bad("seed");
}

/** `host:port`, of an admin port. */
export function parseAddress(value: string): Parsed<string> {
  const parts = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]{1,253}):(\d{1,5})$/i.exec(value);
  const port = Number(parts?.[2]);
  return parts !== null && port > 0 && port < 65_536 ? good(value) : bad("address");
}

// --- small parsers ---

type Read<T> = (value: unknown) => Parsed<T>;

function optional<T>(record: Record<string, unknown>, name: string, read: Read<T>): Parsed<T | null> {
  const value = record[name];
  if (value === undefined || value === null) return good(null);
  const parsed = read(value);
  return of(name, parsed);
}

/** Says which part of a link is refused. */
function of<T>(field: string, parsed: Parsed<T>): Parsed<T> {
  return parsed.ok ? parsed : bad(parsed.reason.code, { ...parsed.reason.holes, field });
}

function whole(least: number, most: number): Read<number> {
  return (value) =>
    typeof value === "number" && Number.isInteger(value) && value >= least && value <= most
      ? good(value)
      : bad("range", { least, most });
}

function text(bytesMax: number): Read<string> {
  return (value) => {
    if (typeof value !== "string") return bad("text");
    return bytesOf(value) > bytesMax ? bad("lengthInBytes", { max: bytesMax }) : good(value);
  };
}

const parseDigest: Read<string> = (value) =>
  typeof value === "string" && /^[0-9a-f]{32}$/.test(value) ? good(value) : bad("digest");

function oneOf<T extends string>(choices: readonly T[]): Read<T> {
  return (value) => {
    const found = choices.find((choice) => choice === value);
    return found === undefined ? bad("choice", { choices: choices.join(", ") }) : good(found);
  };
}

type WithoutNull<T> = { [K in keyof T]?: Exclude<T[K], null> };

function withoutNull<T extends object>(value: T): WithoutNull<T> {
  const kept: WithoutNull<T> = {};
  for (const name in value) {
    const part = value[name];
    if (isPresent(part)) kept[name] = part;
  }
  return kept;
}

function isPresent<T>(value: T): value is Exclude<T, null> {
  return value !== null;
}

// --- bytes ---

class TooLong extends Error {}

async function through(bytes: Uint8Array<ArrayBuffer>, stream: GenericTransformStream, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const reader = new Blob([bytes]).stream().pipeThrough<Uint8Array>(stream).getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > bytesMax) {
      await reader.cancel();
      throw new TooLong();
    }
    chunks.push(value);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

function toBase64Url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[A-Za-z0-9_-]+$/.test(text) || text.length % 4 === 1) return null;
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
