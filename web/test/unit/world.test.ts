import { describe, expect, it } from "vitest";
import { MESSAGE_KINDS } from "kvorum";
import { packLists } from "../../src/engine/lists.ts";
import type { PicturesPost } from "../../src/engine/protocol.ts";
import { History } from "../../src/model/history.ts";
import { MESSAGE, lookOf } from "../../src/model/message-kinds.ts";
import { WorldModel } from "../../src/model/world.ts";
import { cluster, summary } from "./pictures.ts";
import { Words } from "./words.ts";

const frame = (words: Words, nowUs: number, flights: number[][]) =>
  ({ kind: "frame", words: words.array, flights: Float64Array.from(flights.flat()), nowUs, events: 1 }) as const;

describe("messages of a simulated cluster", () => {
  it("are drawn by kind, with the request that they belong to", () => {
    const world = new WorldModel();
    world.on(
      frame(
        new Words()
          .string(5, "cart")
          .record("requestStarted", 1, 10, 70, 0, 1, 5, 5, 2, 0, 0, 70, 0)
          .record("replicaAsked", 1, 10, 70, 0, 4, 0, 4)
          .sent(7, 1, 4, MESSAGE.write, 10, 70)
          .sent(8, 1, 2, MESSAGE.probe, 10),
        12,
        [
          [7, 1, 4, MESSAGE.write, 10, 410, 70],
          [8, 1, 2, MESSAGE.probe, 10, 310, 0],
        ],
      ),
    );
    expect(world.flights).toMatchObject([
      { id: 7, from: 1, to: 4, glyph: "hint", label: "flight.hint", request: 1, sentUs: 10, arrivesUs: 410, fate: "arrives" },
      { id: 8, glyph: "probe", request: null },
    ]);
  });

  it("that hand a hint to its owner are hints; repairs, which nobody awaits, are not", () => {
    const world = new WorldModel();
    const words = new Words().sent(1, 3, 2, MESSAGE.write, 10, 99).sent(2, 3, 2, MESSAGE.write, 10, 0);
    world.on(frame(words, 12, [[1, 3, 2, MESSAGE.write, 10, 410, 99], [2, 3, 2, MESSAGE.write, 10, 410, 0]]));
    expect(world.flights.map((flight) => [flight.id, flight.label])).toEqual([[1, "flight.hint"], [2, "flight.write"]]);
  });

  it("that the network doubles are two flights", () => {
    const world = new WorldModel();
    const twice = [7, 1, 4, MESSAGE.write, 10, 410, 0];
    world.on(frame(new Words(), 12, [twice, twice, twice]));
    expect(new Set(world.flights.map((flight) => flight.id)).size).toBe(3);
  });

  it("that never arrive are seen for as long as one that does", () => {
    const world = new WorldModel();
    const lost = new Words()
      .sent(1, 0, 1, MESSAGE.write, 100)
      .record("lost", 0, 100, 1, 0, 0, 1, 0)
      .sent(2, 0, 2, MESSAGE.write, 100)
      .record("lost", 0, 100, 2, 0, 0, 2, 1)
      .record("lost", 3, 100, 99, 0, 0, 3, 2);
    world.on(frame(lost, 150, [[3, 0, 3, MESSAGE.write, 100, 400, 0]]));
    expect(world.flights.map(({ id, fate, arrivesUs }) => [id, fate, arrivesUs])).toEqual([
      [3, "arrives", 400],
      [1, "lost", 400],
      [2, "cut", 400],
    ]);
    world.on(frame(new Words(), 399, []));
    expect(world.flights.length).toBe(2);
    world.on(frame(new Words(), 400, []));
    expect(world.flights).toEqual([]);
  });
});

describe("kinds of messages", () => {
  it("are those of the package, by number and name", () => {
    for (let number = 0; number < 1_000; number++) {
      expect([number, lookOf(number).label !== "flight.other"]).toEqual([number, number in MESSAGE_KINDS]);
    }
    for (const [name, number] of Object.entries(MESSAGE)) expect(MESSAGE_KINDS[number]?.toLowerCase()).toBe(name.toLowerCase());
  });
});

describe("a node that is no member yet", () => {
  it("takes no member's number", () => {
    const history = new History();
    const nodes = [summary("n0", { member: 2 }), summary("n1", { member: 1 }), summary("n2", { member: null })];
    history.onPicture(cluster(3, { nodes }));
    expect([1, 2].map((member) => history.placeOf(member))).toEqual([1, 0]);
  });
});

describe("pictures of a simulated cluster", () => {
  const VERDICT = { violations: [], acknowledged: 0, asked: 0, downs: 0, epochs: 1, hintsWaiting: 0, partitionsDiffering: 0, isFinal: false, isLossJudged: false };
  const owned = (owners: number[][]) => ({ kind: "owners", owners: packLists(owners) }) as const;
  const post = (repair: number[]): PicturesPost =>
    ({
      kind: "pictures",
      cluster: cluster(3),
      node: { name: "n1", state: "up", shards: [], hints: [], repair: Uint32Array.from(repair) },
      key: null,
      askedKey: null,
      verdict: VERDICT,
    });

  it("keep long lists the same objects until they change, so that nothing of them is drawn anew", () => {
    const world = new WorldModel();
    world.on(owned([[0, 1], [1, 2]]));
    world.on(post([4, 10]));
    const [owners, repair] = [world.picture?.owners, world.nodePicture?.repair];
    expect(owners).toEqual([[0, 1], [1, 2]]);
    expect(repair).toEqual([{ partition: 1, differs: false, moving: false }, { partition: 2, differs: true, moving: false }]);
    world.on(post([4, 10]));
    expect(world.picture?.owners).toBe(owners);
    expect(world.nodePicture?.repair).toBe(repair);
    world.on(owned([[2, 1], [1, 0]]));
    world.on(post([4, 8]));
    expect(world.picture?.owners).toEqual([[2, 1], [1, 0]]);
    expect(world.nodePicture?.repair[1]?.differs).toBe(false);
  });
});
