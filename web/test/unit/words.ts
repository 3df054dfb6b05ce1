/** Writes trace records, as `push_record` of core does, so that a test reads like the run that it means. */
import { KIND } from "../../src/model/trace.ts";

export class Words {
  readonly #words: number[] = [];

  record(kind: keyof typeof KIND, node: number, us: number, ...payload: number[]): this {
    const length = 4 + payload.length;
    this.#words.push(((length << 16) | KIND[kind]) >>> 0, node, us >>> 0, Math.floor(us / 2 ** 32), ...payload);
    return this;
  }

  string(name: number, text: string, node = 0, us = 0): this {
    const bytes = new TextEncoder().encode(text);
    const words = Array.from({ length: Math.ceil(bytes.length / 4) }, (_, word) =>
      [0, 1, 2, 3].reduce((sum, at) => sum + (bytes[word * 4 + at] ?? 0) * 2 ** (8 * at), 0),
    );
    return this.record("string", node, us, name, bytes.length, ...words);
  }

  sent(id: number, from: number, to: number, message: number, us: number, request = 0): this {
    return this.record("sent", from, us, id, 0, from, to, message, 100, request, 0);
  }

  received(id: number, from: number, to: number, message: number, us: number, request = 0): this {
    return this.record("received", to, us, id, 0, from, to, message, 100, request, 0);
  }

  get array(): Uint32Array<ArrayBuffer> {
    return Uint32Array.from(this.#words);
  }
}
