import { describe, expect, it } from "vitest";
import { Engine, type Probe, type WorkerLike } from "../../src/engine/client.ts";
import type { Command, Post } from "../../src/engine/protocol.ts";
import { cluster } from "./pictures.ts";

class FakeWorker implements WorkerLike {
  readonly commands: Command[] = [];
  isTerminated = false;
  onmessage: ((event: MessageEvent<Post>) => void) | null = null;
  onerror: ((event: ErrorEvent) => void) | null = null;
  onmessageerror: ((event: MessageEvent) => void) | null = null;
  postMessage(command: Command): void {
    this.commands.push(command);
  }
  terminate(): void {
    this.isTerminated = true;
  }
  say(post: Post): void {
    this.onmessage?.(new MessageEvent("message", { data: post }));
  }
  /** Node has no `ErrorEvent`; its message is all that is looked at. */
  fail(message: string): void {
    const event: Partial<ErrorEvent> = { message };
    this.onerror?.(event as ErrorEvent);
  }
}

function desk(parts: { hasWasm?: boolean; hasWorker?: boolean; spawnFails?: boolean; probe?: Probe } = {}) {
  const workers: FakeWorker[] = [];
  const heard: Post[] = [];
  const spawn = (): WorkerLike => {
    if (parts.spawnFails === true) throw new Error("blocked by a policy");
    const worker = new FakeWorker();
    workers.push(worker);
    return worker;
  };
  const engine = new Engine((post) => heard.push(post), {
    hasWasm: parts.hasWasm ?? true,
    spawn: (parts.hasWorker ?? true) ? spawn : null,
    probe: () => Promise.resolve(parts.probe ?? "served"),
  });
  return { engine, workers, heard, last: () => workers.at(-1) ?? new FakeWorker() };
}

const WORLD = { world: { seed: "7" }, script: null, goal: null, isPlaying: true, speed: 1, key: null, node: null };
const troubles = (heard: Post[]) => heard.flatMap((post) => (post.kind === "stopped" ? [post.trouble.code] : []));

describe("the page's end of the worker", () => {
  it("says what this browser lacks, and starts nothing", () => {
    for (const [parts, code] of [
      [{ hasWasm: false }, "noWasm"],
      [{ hasWorker: false }, "noWorker"],
      [{ spawnFails: true }, "noWorker"],
    ] as const) {
      const { engine, workers, heard } = desk(parts);
      engine.open(WORLD);
      expect([troubles(heard), workers.length]).toEqual([[code], 0]);
      engine.send({ kind: "play" });
    }
  });

  it("tells a worker that did not start, one that did not come, a host that is gone, and a crash apart", async () => {
    for (const [probe, code] of [["served", "noWorker"], ["missing", "notLoaded"], ["silent", "serverGone"]] as const) {
      const { engine, heard, last } = desk({ probe });
      engine.open(WORLD);
      last().fail("");
      await Promise.resolve();
      expect(troubles(heard)).toEqual([code]);
      engine.open(WORLD);
      last().fail("unreachable executed");
      expect(troubles(heard)).toEqual([code, "panicked"]);
    }
  });

  it("names the host that is gone as the cause of a module that did not come", async () => {
    for (const [probe, code] of [["served", "notLoaded"], ["silent", "serverGone"]] as const) {
      const { engine, heard, last } = desk({ probe });
      engine.open(WORLD);
      last().say({ kind: "stopped", trouble: { code: "notLoaded", holes: { what: "404" } }, last: null });
      await Promise.resolve();
      expect(troubles(heard)).toEqual([code]);
    }
  });

  it("says nothing of a worker that did not start when another was begun meanwhile", async () => {
    const { engine, heard, last } = desk({ probe: "silent" });
    engine.open(WORLD);
    last().fail("");
    engine.open(WORLD);
    await Promise.resolve();
    expect(troubles(heard)).toEqual([]);
  });

  it("takes a new worker after one that stopped, and hears the old one no more", () => {
    const { engine, workers, heard, last } = desk();
    engine.open(WORLD);
    const first = last();
    first.say({ kind: "stopped", trouble: { code: "panicked", holes: {} }, last: null });
    engine.send({ kind: "play" });
    expect(first.commands.map((command) => command.kind)).toEqual(["open"]);
    engine.open(WORLD);
    expect([workers.length, first.isTerminated, last().commands.length]).toEqual([2, true, 1]);
    const count = heard.length;
    first.say({ kind: "playing", isPlaying: true, speed: 1 });
    expect(heard.length).toBe(count);
  });

  it("keeps one worker for one world after another", () => {
    const { engine, workers } = desk();
    engine.open(WORLD);
    engine.open(WORLD);
    expect(workers.length).toBe(1);
  });

  it("answers each frame with drawn, after it was heard", () => {
    const { engine, heard, last } = desk();
    engine.open(WORLD);
    last().say({ kind: "frame", words: new Uint32Array(), flights: new Float64Array(), nowUs: 1, events: 1 });
    expect([heard.length, last().commands.at(-1)]).toEqual([1, { kind: "drawn" }]);
    last().say({ kind: "pictures", cluster: cluster(1), node: null, key: null, askedKey: null, verdict: VERDICT });
    expect(last().commands.length).toBe(2);
  });

  it("settles what waits when its world is gone", async () => {
    const { engine, last } = desk();
    expect([await engine.run({ until: 1 }), await engine.reproduction()]).toEqual([false, null]);
    engine.open(WORLD);
    const [run, other, link] = [engine.run({ until: 5 }), engine.run({ until: 9 }), engine.reproduction()];
    last().say({ kind: "ran", id: 1, reached: true });
    last().say({ kind: "stopped", trouble: { code: "panicked", holes: {} }, last: null });
    expect([await run, await other, await link]).toEqual([true, false, null]);
  });
});

const VERDICT = {
  violations: [],
  acknowledged: 0,
  asked: 0,
  downs: 0,
  epochs: 1,
  hintsWaiting: 0,
  partitionsDiffering: 0,
  isLossJudged: false,
  isFinal: false,
};
