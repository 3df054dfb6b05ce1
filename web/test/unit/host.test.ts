import { describe, expect, it } from "vitest";
import { BACK_EVENTS_MAX } from "../../src/engine/back.ts";
import { Host } from "../../src/engine/host.ts";
import { unpackLists } from "../../src/engine/lists.ts";
import type { Command, Post } from "../../src/engine/protocol.ts";
import { FakeCluster, Refused } from "./fake-cluster.ts";

/** A host in a world whose clock and timers the test turns by hand. */
class Desk {
  wall = 0;
  readonly posts: Post[] = [];
  readonly clusters: FakeCluster[] = [];
  createFails: Error | null = null;
  tracedEvery = 1;
  #timers: { at: number; then: () => void }[] = [];
  readonly host = new Host({
    create: async (options) => {
      await Promise.resolve();
      if (this.createFails !== null) throw this.createFails;
      const made = new FakeCluster(options, this.tracedEvery);
      this.clusters.push(made);
      return made;
    },
    post: (post) => this.posts.push(post),
    wallMs: () => this.wall,
    later: (ms, then) => this.#timers.push({ at: this.wall + ms, then }),
  });

  get cluster(): FakeCluster {
    const last = this.clusters.at(-1);
    if (last === undefined) throw new Error("no world was opened");
    return last;
  }

  async open(part: Partial<Extract<Command, { kind: "open" }>> = {}): Promise<void> {
    const world = { seed: "7", nodes: 5 };
    await this.host.handle({ kind: "open", world, script: null, goal: null, isPlaying: false, speed: 1, key: null, node: null, ...part });
    await this.drawn();
  }

  /** The page draws whatever was posted. */
  async drawn(): Promise<void> {
    for (let count = 0; count < 4; count++) await this.host.handle({ kind: "drawn" });
  }

  /** Lets real time go by, timer after timer. */
  async pass(ms: number, isDrawing = true): Promise<void> {
    const end = this.wall + ms;
    for (;;) {
      // Whoever waits for a promise sets its timer some turns later.
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      const next = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.wall = Math.max(this.wall, next.at);
      next.then();
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
      if (isDrawing) await this.drawn();
    }
    this.wall = end;
  }

  of<K extends Post["kind"]>(kind: K): Extract<Post, { kind: K }>[] {
    return this.posts.filter((post): post is Extract<Post, { kind: K }> => post.kind === kind);
  }
}

describe("a host", () => {
  it("opens a world and shows it at once, paused", async () => {
    const desk = new Desk();
    await desk.open();
    expect(desk.posts.map((post) => post.kind)).toEqual(["opened", "frame", "owners", "pictures"]);
    await desk.pass(1_000);
    expect(desk.cluster.now).toBe(0);
  });

  it("plays as fast as real time times the speed", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    await desk.pass(1_000);
    expect(desk.cluster.now).toBeGreaterThan(950_000);
    expect(desk.cluster.now).toBeLessThan(1_050_000);
    await desk.host.handle({ kind: "speed", speed: 0.1 });
    const before = desk.cluster.now;
    await desk.pass(1_000);
    expect(desk.cluster.now - before).toBeGreaterThan(95_000);
    expect(desk.cluster.now - before).toBeLessThan(105_000);
  });

  it("shows pictures ten times a second at most while playing", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    await desk.pass(2_000);
    expect(desk.of("pictures").length).toBeLessThanOrEqual(21);
    expect(desk.of("pictures").length).toBeGreaterThanOrEqual(15);
    expect(desk.of("frame").length).toBeGreaterThan(100);
  });

  it("tells owners and partitions held once, as long as they stay the same", async () => {
    const desk = new Desk();
    await desk.open({ node: 1 });
    await desk.host.handle({ kind: "step" });
    desk.cluster.epochOfOwners = 1;
    await desk.host.handle({ kind: "step" });
    await desk.host.handle({ kind: "step" });
    expect(desk.of("pictures").length).toBe(4);
    expect(desk.of("owners").map(({ owners }) => unpackLists(owners)[0])).toEqual([[0, 1, 2], [1, 2, 3]]);
    expect(desk.of("pictures").at(-1)?.node?.repair).toEqual(Uint32Array.of(5 * 4 + 2, 6 * 4 + 1));
  });

  it("takes pictures more seldom where they take long", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    desk.cluster.onInspect = () => (desk.wall += 50);
    await desk.pass(4_000);
    const count = desk.of("pictures").length;
    expect(count).toBeGreaterThan(8);
    expect(count).toBeLessThan(22);
  });

  it("waits for a page that does not draw", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    await desk.pass(5_000, false);
    expect(desk.of("frame").length).toBeLessThanOrEqual(3);
    await desk.drawn();
    await desk.pass(100);
    expect(desk.of("frame").length).toBeGreaterThan(3);
  });

  it("does not jump after a long silence", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    await desk.pass(100);
    const before = desk.cluster.now;
    desk.wall += 60_000;
    await desk.pass(16);
    expect(desk.cluster.now - before).toBeLessThan(200_000);
  });

  it("stops where it is and steps one event, with pictures after each step", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    await desk.pass(100);
    await desk.host.handle({ kind: "pause" });
    const [before, pictures] = [desk.cluster.eventCount, desk.of("pictures").length];
    await desk.pass(1_000);
    expect(desk.cluster.eventCount).toBe(before);
    await desk.host.handle({ kind: "step" });
    await desk.host.handle({ kind: "step" });
    expect(desk.cluster.eventCount).toBe(before + 2);
    expect(desk.of("pictures").length).toBe(pictures + 2);
    expect(desk.of("playing").at(-1)).toEqual({ kind: "playing", isPlaying: false, speed: 1 });
  });

  it("steps back to before the last event, and forward to the same", async () => {
    const desk = new Desk();
    await desk.open();
    for (let count = 0; count < 3; count++) await desk.host.handle({ kind: "step" });
    const [shown, digest] = [desk.cluster, desk.cluster.digest()];
    void desk.host.handle({ kind: "back" });
    await desk.pass(1_000);
    // What left a trace was known from the steps, so that the world was made again once.
    expect([desk.clusters.length, shown.isClosed, desk.cluster.eventCount]).toEqual([2, true, 2]);
    expect(desk.of("replay").map(({ post }) => post.kind)).toEqual(["opened", "frame", "owners", "pictures"]);
    expect(desk.of("replayed")).toEqual([{ kind: "replayed", isThere: true }]);
    expect(desk.of("pictures").at(-1)?.cluster.events).toBe(2);
    await desk.host.handle({ kind: "step" });
    expect([desk.cluster.eventCount, desk.cluster.digest()]).toEqual([3, digest]);
  });

  it("passes silent events over on its way back, as on its way forward", async () => {
    const desk = new Desk();
    desk.tracedEvery = 10;
    await desk.open();
    await desk.host.handle({ kind: "run", id: 1, goal: { events: 2_345 } });
    await desk.pass(5_000);
    for (const [events, clusters] of [[2_339, 3], [2_329, 4], [2_319, 5]]) {
      void desk.host.handle({ kind: "back" });
      await desk.pass(5_000);
      expect([desk.cluster.eventCount, desk.clusters.length]).toEqual([events, clusters]);
    }
    // Something else is done here: what was known of later is not any more.
    await desk.host.handle({ kind: "fault", fault: { kind: "crash", node: 1 } });
    await desk.host.handle({ kind: "step" });
    expect(desk.cluster.eventCount).toBe(2_320);
    void desk.host.handle({ kind: "back" });
    await desk.pass(5_000);
    expect(desk.cluster.eventCount).toBe(2_319);
  });

  it("keeps its world if something else is wanted before it is back", async () => {
    const desk = new Desk();
    await desk.open();
    await desk.host.handle({ kind: "run", id: 1, goal: { events: 5_000 } });
    await desk.pass(5_000);
    const shown = desk.cluster;
    void desk.host.handle({ kind: "back" });
    await desk.host.handle({ kind: "select", key: "cart", node: 1 });
    await desk.host.handle({ kind: "play" });
    await desk.pass(1_000);
    expect([shown.isClosed, desk.of("replayed").some((post) => post.isThere)]).toEqual([false, false]);
    expect(shown.eventCount).toBeGreaterThan(5_000);
    expect(desk.of("running").at(-1)).toEqual({ kind: "running", running: null });
    expect(desk.clusters.slice(1).every((one) => one.isClosed)).toBe(true);
  });

  it("says so if there is nothing to go back to, or too much to make again", async () => {
    const desk = new Desk();
    await desk.open();
    const shown = desk.cluster;
    void desk.host.handle({ kind: "back" });
    await desk.pass(100);
    shown.eventCount = BACK_EVENTS_MAX + 1;
    void desk.host.handle({ kind: "back" });
    await desk.pass(100);
    expect(desk.of("trouble").map((post) => post.trouble.code)).toEqual(["noBack", "tooFarBack"]);
    expect(desk.of("stopped")).toEqual([]);
  });

  it("tells how far a run is, and ends it when it is told to", async () => {
    const desk = new Desk();
    await desk.open();
    desk.cluster.onStep = () => (desk.wall += 1);
    void desk.host.handle({ kind: "run", id: 7, goal: { events: 10_000 } });
    await desk.pass(2_000);
    const parts = desk.of("running").map((post) => post.running?.part ?? -1);
    expect(parts.length).toBeGreaterThan(3);
    expect(parts).toEqual([...parts].sort((a, b) => a - b));
    await desk.host.handle({ kind: "halt" });
    const { eventCount } = desk.cluster;
    await desk.pass(1_000);
    expect([desk.cluster.eventCount, desk.of("ran"), desk.of("running").at(-1)?.running]).toEqual([eventCount, [{ kind: "ran", id: 7, reached: false }], null]);
  });

  it("runs to a goal in turns, and says when it is there", async () => {
    const desk = new Desk();
    await desk.open();
    await desk.host.handle({ kind: "run", id: 5, goal: { until: 500_000 } });
    expect(desk.of("ran")).toEqual([]);
    await desk.pass(10_000);
    expect(desk.of("ran")).toEqual([{ kind: "ran", id: 5, reached: true }]);
    expect(desk.cluster.now).toBe(500_000);
    expect(desk.of("pictures").at(-1)?.cluster.nowUs).toBe(500_000);
  });

  it("comes to the event that a link names before anything else, and stays", async () => {
    const desk = new Desk();
    await desk.open({ goal: { events: 250 }, script: "at 0s start n0" });
    await desk.pass(10_000);
    expect([desk.cluster.eventCount, desk.of("ran")]).toEqual([250, [{ kind: "ran", id: 0, reached: true }]]);
  });

  it("asks without running, and tells the answer when the world has come to it", async () => {
    const desk = new Desk();
    await desk.open();
    const asking = desk.host.handle({ kind: "ask", ask: 1, verb: "put", key: "cart", value: "milk", through: 2, r: null, w: 3 });
    expect(desk.of("asked")).toEqual([
      { kind: "asked", ask: 1, verb: "put", key: "cart", value: "milk", entry: 2, needed: 3, atUs: 0 },
    ]);
    expect(desk.cluster.done).toEqual([JSON.stringify(["put", "cart", 2, { w: 3, run: false }])]);
    // It is sent a microsecond later, and nothing else runs.
    expect([desk.cluster.now, desk.cluster.eventCount, desk.of("answered").length]).toEqual([1, 0, 0]);
    await desk.host.handle({ kind: "play" });
    await desk.pass(100);
    await asking;
    expect(desk.of("answered")).toMatchObject([{ ask: 1, outcome: "done", why: null }]);
  });

  it("keeps not done and nobody knows apart", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    for (const [index, code] of ["NOT_DONE", "IN_DOUBT", "INVALID_ARGUMENT"].entries()) {
      desk.cluster.answerWith = new Refused(code);
      void desk.host.handle({ kind: "ask", ask: index, verb: "get", key: "k", value: "", through: 0, r: null, w: null });
      await desk.pass(50);
    }
    expect(desk.of("answered").map((post) => [post.outcome, post.why])).toEqual([
      ["notDone", "NOT_DONE"],
      ["unknown", "IN_DOUBT"],
      ["notDone", "INVALID_ARGUMENT"],
    ]);
    expect(desk.of("stopped")).toEqual([]);
  });

  it("merges by a read of all owners and a put with what it has seen", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    void desk.host.handle({ kind: "merge", ask: 9, key: "cart", value: "both", through: 1, r: 2, w: null });
    await desk.pass(100);
    expect(desk.cluster.done).toEqual([
      JSON.stringify(["get", "cart", 1, { r: 3, run: false }]),
      JSON.stringify(["put", "cart", 1, { context: "context of all", run: false }]),
    ]);
    expect(desk.of("asked")).toMatchObject([{ ask: 9, verb: "put", value: "both" }]);
    expect(desk.of("answered")).toMatchObject([{ ask: 9, outcome: "done" }]);
    expect(desk.of("trouble")).toEqual([]);
  });

  it("merges what the owners that are up hold, and says that others may hold more", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    desk.cluster.downNodes = [2];
    void desk.host.handle({ kind: "merge", ask: 9, key: "cart", value: "both", through: 1, r: 2, w: null });
    await desk.pass(100);
    expect(desk.cluster.done).toEqual([
      JSON.stringify(["get", "cart", 1, { r: 2, run: false }]),
      JSON.stringify(["put", "cart", 1, { context: "context of all", run: false }]),
    ]);
    expect(desk.of("answered")).toMatchObject([{ ask: 9, outcome: "done" }]);
    expect(desk.of("trouble")).toEqual([{ kind: "trouble", trouble: { code: "mayBeLeft", holes: { away: 1, total: 3 } } }]);
  });

  it("reads as many as any read does if not all who are up answer, and says so if those do not either", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    desk.cluster.answerWith = new Refused("NOT_DONE");
    void desk.host.handle({ kind: "merge", ask: 9, key: "cart", value: "both", through: 1, r: 2, w: null });
    await desk.pass(100);
    expect(desk.cluster.done).toEqual([3, 2].map((r) => JSON.stringify(["get", "cart", 1, { r, run: false }])));
    expect(desk.of("trouble")).toMatchObject([{ trouble: { code: "notMerged", holes: { needed: 2, up: 3, total: 3 } } }]);
    expect([desk.of("asked"), desk.of("answered"), desk.of("stopped")]).toEqual([[], [], []]);
  });

  it("tells whoever waits when a broken promise has ended the world, and ends runs to what will not come", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    void desk.host.handle({ kind: "ask", ask: 1, verb: "get", key: "k", value: "", through: 0, r: null, w: null });
    desk.cluster.isBroken = true;
    await desk.host.handle({ kind: "run", id: 4, goal: { events: 1_000_000 } });
    await desk.pass(1_000);
    expect(desk.of("answered")).toMatchObject([{ ask: 1, outcome: "unknown" }]);
    expect(desk.of("ran")).toEqual([{ kind: "ran", id: 4, reached: false }]);
    expect(desk.of("pictures").at(-1)?.verdict.violations.length).toBe(1);
  });

  it("does faults and shows what came of them", async () => {
    const desk = new Desk();
    await desk.open();
    const pictures = desk.of("pictures").length;
    await desk.host.handle({ kind: "fault", fault: { kind: "cut", one: [0, 1], other: [2, 3, 4] } });
    await desk.host.handle({ kind: "fault", fault: { kind: "heal", one: null, other: null } });
    expect(desk.cluster.done).toEqual([
      JSON.stringify(["cut", [0, 1], [2, 3, 4]]),
      JSON.stringify(["heal", undefined, undefined]),
    ]);
    expect(desk.of("pictures").length).toBe(pictures + 2);
  });

  it("shows the key and the node that are selected", async () => {
    const desk = new Desk();
    await desk.open();
    await desk.host.handle({ kind: "select", key: "cart", node: 4 });
    expect(desk.of("pictures").at(-1)).toMatchObject({ key: { key: "cart" }, node: { name: "n4" } });
    await desk.host.handle({ kind: "select", key: null, node: 77 });
    expect(desk.of("pictures").at(-1)).toMatchObject({ key: null, node: null });
  });

  it("tells what makes its state again", async () => {
    const desk = new Desk();
    await desk.open();
    await desk.host.handle({ kind: "step" });
    await desk.host.handle({ kind: "link", id: 3 });
    expect(desk.of("link")).toMatchObject([{ id: 3, reproduction: { events: 1, digest: desk.cluster.digest() } }]);
  });

  it("that panics stops, and tells what leads there", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    await desk.host.handle({ kind: "fault", fault: { kind: "crash", node: 1 } });
    desk.cluster.failNext = new Refused("PANICKED", "index out of bounds");
    await desk.pass(100);
    const [stopped] = desk.of("stopped");
    expect(stopped?.trouble).toMatchObject({ code: "panicked", holes: { what: "index out of bounds" } });
    expect(stopped?.last).toMatchObject({ script: JSON.stringify(["crash", 1]) });
    const count = desk.posts.length;
    await desk.pass(1_000);
    expect(desk.posts.length).toBe(count);
  });

  it("goes on after a command that the world refuses", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    desk.cluster.failNext = new Refused("INVALID_ARGUMENT", "n9 is no node");
    await desk.host.handle({ kind: "fault", fault: { kind: "crash", node: 9 } });
    expect(desk.of("trouble")).toMatchObject([{ trouble: { code: "notPossible", reason: { code: "core", holes: { words: "n9 is no node" } } } }]);
    const before = desk.cluster.now;
    await desk.pass(100);
    expect(desk.cluster.now).toBeGreaterThan(before);
  });

  it("goes on after a fault that there is no room for", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    desk.cluster.failNext = new Refused("SCRIPT_FULL", "the script is full: start again");
    await desk.host.handle({ kind: "fault", fault: { kind: "crash", node: 1 } });
    expect(desk.of("trouble")).toMatchObject([{ trouble: { code: "notPossible", reason: { code: "scriptFull" } } }]);
    expect(desk.of("stopped")).toEqual([]);
    const before = desk.cluster.now;
    await desk.pass(100);
    expect(desk.cluster.now).toBeGreaterThan(before);
  });

  it("shows from the beginning what was selected before", async () => {
    const desk = new Desk();
    await desk.open({ key: "cart", node: 4 });
    expect(desk.of("pictures").at(-1)).toMatchObject({ key: { key: "cart" }, askedKey: "cart", node: { name: "n4" } });
  });

  it("answers whoever asks while a world loads, and begins as it was told meanwhile", async () => {
    const desk = new Desk();
    const opening = desk.open();
    void desk.host.handle({ kind: "run", id: 3, goal: { events: 5 } });
    void desk.host.handle({ kind: "link", id: 4 });
    void desk.host.handle({ kind: "ask", ask: 1, verb: "get", key: "k", value: "", through: 0, r: null, w: null });
    void desk.host.handle({ kind: "select", key: "cart", node: 1 });
    void desk.host.handle({ kind: "play" });
    await opening;
    expect(desk.posts.slice(0, 4)).toMatchObject([
      { kind: "ran", id: 3, reached: false },
      { kind: "link", id: 4, reproduction: null },
      { kind: "asked", ask: 1 },
      { kind: "answered", ask: 1, outcome: "notDone" },
    ]);
    expect(desk.of("opened")).toMatchObject([{ isPlaying: true }]);
    expect(desk.of("pictures").at(-1)).toMatchObject({ key: { key: "cart" }, node: { name: "n1" } });
  });

  it("tells a bad script, options that cannot be and a module that did not come apart", async () => {
    const words = "line 3 of the script: `n99` is no node; nodes are n0 to n49";
    for (const [code, trouble] of [
      ["BAD_SCRIPT", { code: "badScript", reason: { code: "scriptNoNode", holes: { line: 3, found: "n99", most: 49 } } }],
      ["INVALID_ARGUMENT", { code: "badLink", reason: { code: "core", holes: { words } } }],
      ["LOAD_FAILED", { code: "notLoaded" }],
      ["PANICKED", { code: "panicked", holes: { what: words } }],
    ] as const) {
      const desk = new Desk();
      desk.createFails = new Refused(code, words, code === "BAD_SCRIPT" ? { line: 3, problem: "noNode", found: "n99", most: 49 } : null);
      await desk.open();
      expect(desk.of("stopped")).toMatchObject([{ trouble }]);
    }
  });

  it("forgets the world before when another is opened", async () => {
    const desk = new Desk();
    await desk.open({ isPlaying: true });
    const first = desk.cluster;
    void desk.host.handle({ kind: "ask", ask: 1, verb: "get", key: "k", value: "", through: 0, r: null, w: null });
    await desk.open();
    expect(first.isClosed).toBe(true);
    first.step();
    first.step();
    first.step();
    await desk.pass(100);
    expect(desk.of("answered")).toEqual([]);
  });
});
