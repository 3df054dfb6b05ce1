/** Which request a message belongs to, whichever of the two is told of first. Bounded in memory. */
import { trim } from "./trim.ts";

/** Messages whose request is remembered; more cannot be on their way and be drawn. */
const MESSAGE_COUNT_MAX = 10_000;
/** Requests of one turn, and messages of one of them, that wait for the turn's own events. */
const WAITING_COUNT_MAX = 200;

export class MessageNames {
  /** Numbers of requests by message. */
  readonly #requests = new Map<bigint, number>();
  /** Messages of requests that are not known yet: a simulator tells of a turn's messages before the turn's own events. */
  readonly #waiting = new Map<string, bigint[]>();

  /** The number of the request that a message belongs to. */
  requestOf(message: bigint): number | undefined {
    return this.#requests.get(message);
  }

  claim(message: bigint, request: number): void {
    this.#requests.set(message, request);
    trim(this.#requests, MESSAGE_COUNT_MAX);
  }

  /** Its request, of this name at its node, is still to be told of. */
  wait(name: string, message: bigint): void {
    this.#waiting.set(name, [...(this.#waiting.get(name) ?? []), message].slice(-WAITING_COUNT_MAX));
    trim(this.#waiting, WAITING_COUNT_MAX);
  }

  /** The request of this name is known now. */
  claimWaiting(name: string, request: number): void {
    for (const message of this.#waiting.get(name) ?? []) this.claim(message, request);
    this.#waiting.delete(name);
  }
}
