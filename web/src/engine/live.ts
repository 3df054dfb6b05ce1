/**
 * One event stream and one poll of pictures per member of a live cluster. Read only; lost connections are tried again,
 * and members that a picture names are attached to as they appear.
 */
import { isRecord } from "./json.ts";
import { NODE_COUNT_MAX } from "./limits.ts";
import type { LiveParts, Socket } from "./live-parts.ts";
import { type Pictures, type Rates, firstMessage, pictures, rates } from "./pictures.ts";
import type { ClusterPicture } from "kvorum";

const RETRY_MS_MIN = 250;
/** A member that was killed and started again is seen again within so long. */
const RETRY_MS_MAX = 2_000;
const POLL_MS = 500;
const ANSWER_MS_MAX = 2_000;
/** So long may an event stream take to begin: a policy of the page may keep it from ever doing so, without a word. */
const OPENING_MS_MAX = 4_000;
/** Bytes of a message: a snapshot of 16,384 partitions is under a megabyte. */
const TEXT_LENGTH_MAX = 16 << 20;

export type LivePost =
  | { kind: "attached"; address: string; node: string; picture: ClusterPicture | null; atMs: number }
  | { kind: "batch"; address: string; words: Uint32Array; atMs: number }
  | { kind: "rates"; address: string; rates: Rates; atMs: number }
  | { kind: "dropped"; address: string; count: number }
  | { kind: "pictures"; address: string; pictures: Pictures; key: string | null; atMs: number }
  | { kind: "lost"; address: string; atMs: number; retryAtMs: number }
  /** It is no member any more, or has another address now. */
  | { kind: "left"; address: string; atMs: number }
  /** The server forbids it; it is not asked again. */
  | { kind: "refused"; address: string; atMs: number };

interface Member {
  address: string;
  node: string | null;
  /** Counts connections: what an earlier one says is not heard. */
  life: number;
  socket: Socket | null;
  isAttached: boolean;
  isRefused: boolean;
  retryMs: number;
  /** Calls off the next try, or the patience with the one that is open. */
  cancelRetry: (() => void) | null;
  isPolled: boolean;
}

export class LiveEngine {
  readonly #first: string;
  readonly #others: readonly string[];
  readonly #parts: LiveParts;
  readonly #listener: (post: LivePost) => void;
  readonly #members = new Map<string, Member>();
  #selected: { key: string | null; node: string | null } = { key: null, node: null };
  #cancelPoll: (() => void) | null = null;
  #isClosed = false;
  /** The latest that a picture had: what an older one says of who is a member is not believed. */
  #epoch = 0;

  /** `others`: more addresses of the same cluster, in case nobody answers at the first. */
  constructor(address: string, parts: LiveParts, listener: (post: LivePost) => void, others: readonly string[] = []) {
    this.#first = address;
    this.#others = others;
    this.#parts = parts;
    this.#listener = listener;
  }

  start(): void {
    this.#attach(this.#first);
    for (const address of this.#others) this.#attach(address);
    this.#pollLater();
  }

  /** Pictures of this key and node come from the next poll on, which is at once. */
  select(key: string | null, node: string | null): void {
    this.#selected = { key, node };
    for (const member of this.#members.values()) void this.#poll(member);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelPoll?.();
    for (const member of this.#members.values()) this.#leave(member);
    this.#members.clear();
  }

  // --- members ---

  #attach(address: string): void {
    if (this.#members.has(address) || this.#members.size >= NODE_COUNT_MAX) return;
    const member: Member = {
      address,
      node: null,
      life: 0,
      socket: null,
      isAttached: false,
      isRefused: false,
      retryMs: RETRY_MS_MIN,
      cancelRetry: null,
      isPolled: false,
    };
    this.#members.set(address, member);
    this.#connect(member);
  }

  /** Nothing that it still says is heard. */
  #leave(member: Member): void {
    member.life += 1;
    member.isAttached = false;
    member.cancelRetry?.();
    member.cancelRetry = null;
    member.socket?.close();
    member.socket = null;
  }

  #drop(member: Member): void {
    this.#leave(member);
    this.#members.delete(member.address);
    this.#listener({ kind: "left", address: member.address, atMs: this.#parts.wallMs() });
  }

  #connect(member: Member): void {
    const life = (member.life += 1);
    member.cancelRetry = this.#parts.later(OPENING_MS_MAX, () => {
      if (member.life !== life || member.isAttached) return;
      member.socket?.close();
      if (member.life === life) this.#onLost(member);
    });
    try {
      member.socket = this.#parts.openSocket(`${this.#parts.isSecure ? "wss" : "ws"}://${member.address}/events`, {
        onMessage: (data) => {
          if (member.life === life) this.#onMessage(member, data);
        },
        onClose: () => {
          if (member.life === life) this.#onLost(member);
        },
      });
    } catch {
      // An address that is no URL, or a policy that forbids it.
      this.#onLost(member);
    }
  }

  #onLost(member: Member): void {
    member.life += 1;
    member.socket = null;
    member.isAttached = false;
    member.cancelRetry?.();
    if (this.#isClosed || member.isRefused) return;
    // Who comes back may be another cluster, whose epochs begin anew.
    if (![...this.#members.values()].some((one) => one.isAttached)) this.#epoch = 0;
    const atMs = this.#parts.wallMs();
    this.#listener({ kind: "lost", address: member.address, atMs, retryAtMs: atMs + member.retryMs });
    member.cancelRetry = this.#parts.later(member.retryMs, () => this.#connect(member));
    member.retryMs = Math.min(RETRY_MS_MAX, member.retryMs * 2);
    // A socket does not say why it closed; a question may.
    if (member.node === null) void this.#poll(member);
  }

  #onMessage(member: Member, data: unknown): void {
    const atMs = this.#parts.wallMs();
    if (data instanceof ArrayBuffer) {
      return this.#listener({ kind: "batch", address: member.address, words: wordsOf(data), atMs });
    }
    if (typeof data !== "string" || data.length > TEXT_LENGTH_MAX) return;
    let value: unknown;
    try {
      value = JSON.parse(data);
      if (!isRecord(value)) return;
      if ("error" in value) return member.socket?.close();
      if ("dropped" in value) {
        const count = typeof value["dropped"] === "number" ? value["dropped"] : 1;
        return this.#listener({ kind: "dropped", address: member.address, count });
      }
      if ("sampled" in value) {
        return this.#listener({ kind: "rates", address: member.address, rates: rates(value, "rates"), atMs });
      }
      const { node, picture } = firstMessage(value, "snapshot");
      // The same member, by another name of its address.
      if (this.#isAttachedTo(node, member)) return this.#drop(member);
      member.node = node;
      member.isAttached = true;
      member.cancelRetry?.();
      member.cancelRetry = null;
      member.retryMs = RETRY_MS_MIN;
      this.#listener({ kind: "attached", address: member.address, node, picture, atMs });
      if (picture !== null) this.#meet(picture);
    } catch {
      // A member of another version: what it says cannot be drawn, and the others still can.
    }
  }

  #isAttachedTo(node: string, except: Member | null = null): boolean {
    return [...this.#members.values()].some((member) => member !== except && member.isAttached && member.node === node);
  }

  /** Attaches to all members that a picture names, and leaves those that it does not and that do not answer. */
  #meet(picture: ClusterPicture): void {
    // A picture of nobody is of a node that is no member yet.
    if (picture.nodes.length === 0 || picture.epoch < this.#epoch) return;
    this.#epoch = picture.epoch;
    const names = new Set(picture.nodes.map((node) => node.name));
    const addresses = new Set(picture.nodes.map((node) => node.admin));
    for (const member of [...this.#members.values()]) {
      // The first address may be another name of a member's, by which the page can reach it when it cannot by its own.
      const isKept = member.address === this.#first ? member.node === null || names.has(member.node) : addresses.has(member.address);
      if (!member.isAttached && !isKept) this.#drop(member);
    }
    for (const { name, admin } of picture.nodes) {
      if (admin !== "" && !this.#isAttachedTo(name)) this.#attach(admin);
    }
  }

  // --- pictures ---

  #pollLater(): void {
    this.#cancelPoll = this.#parts.later(POLL_MS, () => {
      for (const member of this.#members.values()) if (member.isAttached) void this.#poll(member);
      if (!this.#isClosed) this.#pollLater();
    });
  }

  async #poll(member: Member): Promise<void> {
    if (member.isPolled || member.isRefused || this.#isClosed) return;
    member.isPolled = true;
    const { key, node } = this.#selected;
    const query = new URLSearchParams();
    if (key !== null) query.set("key", key);
    if (node !== null && node === member.node) query.set("node", "1");
    try {
      const answer = await this.#parts.fetchJson(`${this.#parts.isSecure ? "https" : "http"}://${member.address}/picture?${query.toString()}`, ANSWER_MS_MAX);
      if (this.#isClosed || this.#members.get(member.address) !== member) return;
      const atMs = this.#parts.wallMs();
      if (answer.kind === "refused") {
        member.isRefused = true;
        this.#leave(member);
        this.#listener({ kind: "refused", address: member.address, atMs });
        return;
      }
      const read = pictures(answer.value, "picture");
      this.#listener({ kind: "pictures", address: member.address, pictures: read, key, atMs });
      if (read.cluster !== null && member.isAttached) this.#meet(read.cluster);
    } catch {
      // The event stream says that the connection is lost; a picture that did not come is asked for again.
    } finally {
      member.isPolled = false;
    }
  }
}

/** Little-endian words of a binary message; a rest of fewer than four bytes is none. */
function wordsOf(data: ArrayBuffer): Uint32Array {
  const view = new DataView(data);
  const words = new Uint32Array(data.byteLength >> 2);
  for (let index = 0; index < words.length; index++) words[index] = view.getUint32(index * 4, true);
  return words;
}
