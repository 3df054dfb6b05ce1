import { describe, expect, it } from "vitest";
import type { KeyPicture, WalkStep } from "kvorum";
import { boxOf, discsOf, placeLabels, spotsOf } from "../../src/view/geometry/labels.ts";
import { layFrames, type Span } from "../../src/view/geometry/frames.ts";
import { layLane, type LaneMark } from "../../src/view/geometry/lane.ts";
import { matrixRoom, meets, nodePoints, stageLayout } from "../../src/view/geometry/stage.ts";
import { routeRequests, stopRole, walkLayout, walkOf } from "../../src/view/geometry/walk.ts";

const widthOf = (text: string): number => text.length * 6;
const NAMES = "abcdefghij";
const rules = {
  right: 1000,
  widthOf,
  sizeOf: (kind: string) => (kind === "ring" ? 9 : 12),
  words: (kind: string, nodes: readonly number[]) => {
    const brief = nodes.map((node) => NAMES[node] ?? "").join(" ");
    return kind === "ring" ? null : { full: `${kind} ${brief}`, brief };
  },
};

/** What each group covers: its marks, and its words. */
function boxes(groups: ReturnType<typeof layLane<string>>): { from: number; to: number }[] {
  return groups
    .flatMap(({ xs, words }) => [
      ...xs.map((x) => ({ from: x - 4, to: x + 4 })),
      ...(words === null ? [] : [words.anchor === "end" ? { from: words.x - words.width, to: words.x } : { from: words.x, to: words.x + words.width }]),
    ])
    .sort((a, b) => a.from - b.from);
}

describe("a lane", () => {
  it("names crashes on one spot together", () => {
    const marks: LaneMark<string>[] = [1, 2, 3].map((node) => ({ kind: "crash", x: 100 + node, node }));
    const [only, ...more] = layLane(marks, rules);
    expect(more).toEqual([]);
    expect(only?.words?.text).toBe("crash b c d");
    expect(only?.xs).toEqual([101]);
  });

  it("shortens words before it shares them, and shares them before it leaves them out", () => {
    const at = (x: number): string[] => layLane([{ kind: "crash", x: 100, node: 1 }, { kind: "crash", x, node: 2 }], rules).map((group) => group.words?.text ?? "");
    expect(at(300)).toEqual(["crash b", "crash c"]);
    expect(at(140)).toEqual(["b", "crash c"]);
    expect(at(114)).toEqual(["b", "crash c"]);
    const long = { ...rules, words: () => ({ full: "a crash of many nodes", brief: "many nodes" }) };
    expect(layLane([{ kind: "crash", x: 100, node: 1 }, { kind: "crash", x: 140, node: 2 }], long).map((group) => group.xs)).toEqual([[100, 140]]);
  });

  it("keeps a check off the cross of the same moment, and lets its words name who it was", () => {
    const groups = layLane([{ kind: "down", x: 100, node: 1 }, { kind: "up", x: 100, node: 1 }], rules);
    expect(groups.map(({ kind, words }) => [kind, words?.text])).toEqual([["down", undefined], ["up", "up b"]]);
    expect((groups[1]?.xs[0] ?? 0) - (groups[0]?.xs[0] ?? 0)).toBeGreaterThanOrEqual(11);
  });

  it("puts words before a mark at the edge", () => {
    const [last] = layLane([{ kind: "down", x: 990, node: 1 }], rules);
    expect(last?.words).toMatchObject({ text: "down b", anchor: "end" });
  });

  it("covers nothing twice, whatever happens", () => {
    let state = 7;
    const next = (most: number): number => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) % most;
    for (let round = 0; round < 300; round += 1) {
      const marks = Array.from({ length: 1 + next(25) }, () => ({ kind: ["ring", "down", "up", "crash"][next(4)] ?? "", x: 100 + next(600), node: next(6) }));
      const laid = layLane(marks, rules);
      boxes(laid).forEach((box, index, all) => {
        const before = all[index - 1];
        expect(before === undefined || before.to <= box.from + 1, JSON.stringify({ marks, laid })).toBe(true);
      });
    }
  });

  it("shows no mark far from its time, however many there are, and soon", () => {
    const marks = Array.from({ length: 5_000 }, (_, index): LaneMark<string> => ({ kind: ["ring", "down", "up"][index % 3] ?? "", x: 100 + (index * 800) / 5_000, node: index % 7 }));
    const laid = layLane(marks, rules);
    expect(laid.length).toBeLessThan(120);
    expect(Math.max(...laid.flatMap(({ xs }) => xs))).toBeLessThan(900 + 60);
  });
});

describe("frames of cuts", () => {
  const frameRules = { left: 100, right: 900, widthOf, countOf: (spans: readonly Span[]) => `${String(spans.length)} cuts` };
  const cut = (from: number, to: number, text = "cut: a from b"): Span => ({ from, to, text, isBad: true });
  const said = (spans: Span[]): (string | undefined)[] => layFrames(spans, frameRules).map(({ words }) => words?.text);

  it("have their words inside, or behind them", () => {
    expect(layFrames([cut(100, 300), cut(400, 410)], frameRules).map(({ words }) => [words?.anchor, words?.x])).toEqual([["middle", 200], ["start", 415]]);
    expect(layFrames([cut(880, 890)], frameRules)[0]?.words).toMatchObject({ anchor: "end", x: 875 });
  });

  it("are counted where they overlap or have no room", () => {
    expect(said([cut(100, 300), cut(200, 400, "cut: c from d")])).toEqual(["2 cuts"]);
    expect(said([cut(100, 110), cut(120, 130), cut(600, 610)])).toEqual(["2 cuts", "cut: a from b"]);
    expect(said([cut(100, 160), cut(163, 223), cut(226, 286)])).toEqual(["1 cuts", "1 cuts", "cut: a from b"]);
    // The same between the same two is one, however often it was said.
    expect(said([cut(100, 300), cut(200, 400)])).toEqual(["cut: a from b"]);
  });

  it("lie on nothing, whatever happens, and none goes without words", () => {
    let state = 11;
    const next = (most: number): number => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) % most;
    for (let round = 0; round < 500; round += 1) {
      const spans = Array.from({ length: 1 + next(20) }, () => {
        const from = 100 + next(790);
        return cut(from, Math.min(900, from + 4 + next(90)), `cut: ${NAMES[next(9)] ?? ""} from b`);
      });
      const laid = layFrames(spans, frameRules);
      expect(laid.flatMap((group) => group.spans)).toHaveLength(spans.length);
      const covered = laid.flatMap(({ frames, words }) => {
        expect(words).not.toBeNull();
        const own = frames.map(({ from, to }) => ({ from, to }));
        if (words === null || words.anchor === "middle") return own;
        return [...own, words.anchor === "end" ? { from: words.x - words.width, to: words.x } : { from: words.x, to: words.x + words.width }];
      });
      covered.sort((a, b) => a.from - b.from).forEach((one, index, all) => {
        expect((all[index - 1]?.to ?? 0) <= one.from, JSON.stringify({ spans, laid })).toBe(true);
      });
    }
  });
});

const step = (partition: number, node: number, role: WalkStep["role"], place: number | null = null): WalkStep => ({ partition, node, role, place });
const WALK = [step(40, 0, "owner", 1), step(40, 4, "owner", 2), step(40, 2, "owner", 3), step(41, 4, "taken"), step(41, 1, "fallback"), step(42, 3, "fallback"), step(43, 0, "taken")];

function keyAt(partition: number, walk: WalkStep[] = []): KeyPicture {
  return { key: "city:KR:Seoul", slot: partition * 256 + 128, partition, walk, copies: [], siblings: [], common: [], actors: [] };
}

describe("the walk", () => {
  const of = (downs: number[], inUse: number[]): { isDown(node: number): boolean; isInUse(node: number): boolean } => ({
    isDown: (node) => downs.includes(node),
    isInUse: (node) => inUse.includes(node),
  });

  it("ends with the owners where none of them is down", () => {
    expect(walkOf({ key: keyAt(40, WALK), ...of([], []) }).map(({ node }) => node)).toEqual([0, 4, 2]);
  });

  it("goes as far as the first fallback that could stand in for an owner that is down", () => {
    // The core's walk ends with it.
    expect(walkOf({ key: keyAt(40, WALK.slice(0, 5)), ...of([4, 2], []) }).map(({ node }) => node)).toEqual([0, 4, 2, 4, 1]);
    expect(walkOf({ key: keyAt(40, WALK.slice(0, 6)), ...of([4, 1], []) }).map(({ node }) => node)).toEqual([0, 4, 2, 4, 1, 3]);
    expect(walkOf({ key: keyAt(40, WALK), ...of([4, 1, 3], []) }).map(({ node }) => node)).toEqual([0, 4, 2]);
  });

  it("goes as far as the last fallback in use, past one that is not", () => {
    const steps = walkOf({ key: keyAt(40, WALK), ...of([4], [3]) });
    expect(steps.map((one) => stopRole(one, of([4], [3])))).toEqual(["owner", "down", "owner", "taken", "spare", "hint"]);
  });

  it("draws a fallback that is down as down", () => {
    const subject = of([4, 1], [1]);
    expect(walkOf({ key: keyAt(40, WALK), ...subject }).map((one) => stopRole(one, subject)).at(-1)).toBe("fallbackDown");
  });

  it("leads no route to what holds nothing, and a dashed one to what is down", () => {
    const layout = stageLayout({ width: 712, height: 664, nodeCount: 5, partitionCount: 64, compact: false, hasCorners: true, hasMatrix: true });
    const key = keyAt(40, WALK);
    const walk = walkLayout(layout, { key, partitionCount: 64, nodes: nodePoints(layout, 5), widthOf: () => 60, ...of([3], [3]) });
    expect(routeRequests(walk, key, 64, 5).map(({ node, role }) => [node, role]).sort()).toEqual([[0, "owner"], [2, "owner"], [3, "down"], [4, "owner"]]);
  });

  for (const [width, height] of [[390, 352], [360, 267], [280, 300], [457, 290]] as const) {
    it(`names its key on no disc, wherever the key is, at ${String(width)} × ${String(height)}`, () => {
      const layout = stageLayout({ width, height, nodeCount: 5, partitionCount: 64, compact: true, hasCorners: false, hasMatrix: false });
      const nodes = nodePoints(layout, 5);
      const around = ({ x, y }: { x: number; y: number }, r: number): Parameters<typeof meets>[0] => ({ left: x - r, right: x + r, top: y - r, bottom: y + r });
      let named = 0;
      for (let partition = 0; partition < 64; partition += 1) {
        const owners = [0, 1, 2].map((node, index) => step(partition, node, "owner", index + 1));
        const { name, stops } = walkLayout(layout, { key: keyAt(partition, owners), partitionCount: 64, nodes, widthOf: () => 60, isDown: () => false, isInUse: () => false });
        if (name === null) {
          continue;
        }
        expect(name.text).toMatch(/^city:/);
        named += 1;
        const box = boxOf({ x: name.x, y: name.y, anchor: name.anchor }, [name.text.length * 6]);
        expect([...stops.map((stop) => around(stop.point, 6.5)), ...nodes.map((node) => around(node, layout.nodeRadius))].filter((disc) => meets(disc, { ...box, top: name.y - 9, bottom: name.y + 1 })), `partition ${String(partition)}`).toEqual([]);
      }
      // On the smallest, a few places leave no room; the sheet names the key anyway.
      expect(named).toBeGreaterThanOrEqual(width < 300 ? 50 : 60);
    });
  }
});

describe("the name of the key", () => {
  for (const [width, height] of [[712, 663], [624, 563], [624, 483], [516, 323]] as const) {
    it(`lies on no stop, no words and no legend at ${String(width)} × ${String(height)}`, () => {
      const layout = stageLayout({ width, height, nodeCount: 5, partitionCount: 64, compact: false, hasCorners: height > 470, hasMatrix: height > 470 });
      for (let partition = 0; partition < 64; partition += 1) {
        const steps = [...[0, 1, 2].map((node, index) => step(partition, node, "owner", index + 1)), step((partition + 1) % 64, 1, "taken"), step((partition + 2) % 64, 3, "fallback")];
        const { name, stops } = walkLayout(layout, { key: keyAt(partition, steps), partitionCount: 64, nodes: nodePoints(layout, 5), widthOf: () => 80, isDown: () => false, isInUse: () => true });
        if (name === null) {
          continue;
        }
        const box = { ...boxOf({ x: name.x, y: name.y, anchor: name.anchor }, [name.text.length * 7.6]), top: name.y - 11, bottom: name.y + 2 };
        const words = stops.flatMap(({ word }) => (word === null ? [] : [{ ...boxOf({ x: word.x, y: word.y, anchor: word.anchor }, [80]), top: word.y - 9, bottom: word.y + 2 }]));
        expect(words.filter((one) => meets(one, box)), `partition ${String(partition)}`).toEqual([]);
        expect(stops.filter(({ point: { x, y } }) => meets({ left: x - 7, right: x + 7, top: y - 7, bottom: y + 7 }, box))).toEqual([]);
        expect(box.bottom).toBeLessThan(height - 38);
      }
    });
  }
});

describe("the walk", () => {
  for (const [width, height] of [[712, 664], [624, 563], [640, 620]] as const) {
    for (const replicas of [3, 5]) {
      it(`keeps off the instruments in the corners at ${String(width)} × ${String(height)} with N = ${String(replicas)}, wherever the key is`, () => {
        const layout = stageLayout({ width, height, nodeCount: 5, partitionCount: 64, compact: false, hasCorners: true, hasMatrix: true, replicas });
        for (let partition = 0; partition < 64; partition += 1) {
          // All at one arc, and each at its own.
          for (const apart of [0, 1]) {
            const steps = Array.from({ length: replicas }, (_, index) => step((partition + apart * index) % 64, index, "owner", index + 1));
            const { stops, taken } = walkLayout(layout, { key: keyAt(partition, steps), partitionCount: 64, nodes: nodePoints(layout, 5), widthOf: () => 60, isDown: () => false, isInUse: () => true });
            const discs = stops.map(({ point: { x, y } }) => ({ left: x - 7, right: x + 7, top: y - 7, bottom: y + 7 }));
            const room = matrixRoom(layout, 5, true);
            const said = { left: 24, top: 194, right: 24 + room.width, bottom: 194 + 17 * room.lines };
            expect(discs.filter((disc) => [said, ...layout.corners.filter(({ top, bottom, right }) => !(top === 0 && bottom > 250 && right === 145) && top !== height - 205)].some((corner) => meets(disc, corner))), `partition ${String(partition)} ${String(apart)}`).toEqual([]);
            taken.forEach((box, index) => expect([...discs, ...taken.slice(index + 1)].filter((other) => meets(other, box)), `partition ${String(partition)} ${String(apart)}`).toEqual([]));
          }
        }
      });
    }
  }
});

describe("many nodes", () => {
  for (const [width, height, compact] of [[712, 664, false], [624, 563, false], [390, 352, true], [280, 300, true]] as const) {
    for (const nodeCount of [1, 3, 5, 8, 9, 13, 20, 26, 50]) {
      it(`${String(nodeCount)} stand apart on a stage of ${String(width)} × ${String(height)}, and leave room for routes`, () => {
        const layout = stageLayout({ width, height, nodeCount, partitionCount: 64, compact, hasCorners: !compact, hasMatrix: false });
        expect(layout.nodeSpace).toBeGreaterThan(2 * layout.nodeRadius + 1.5);
        const inner = layout.lanes.at(-1) ?? 0;
        expect(inner).toBeGreaterThan(layout.nodeRing + layout.nodeRadius);
        expect(layout.lanes[0]).toBeLessThanOrEqual(layout.radius - layout.band);
      });
    }
  }

  it("have words that lie on no other words and on no other disc", () => {
    for (const nodeCount of [5, 6, 7, 8, 10, 12, 20, 50]) {
      const layout = stageLayout({ width: 624, height: 563, nodeCount, partitionCount: 64, compact: false, hasCorners: true, hasMatrix: false });
      const points = nodePoints(layout, nodeCount);
      const discs = discsOf(layout, points);
      const widths = [120, 70];
      const placed = placeLabels(layout, points.map((point, node) => ({ node, widths, spots: spotsOf(layout, point, node, nodeCount, 2, false) })), discs);
      const all = [...placed].map(([node, spot]) => ({ node, box: boxOf(spot, widths) }));
      // As many as there are of few nodes; of many, not none.
      expect(all.length).toBeGreaterThanOrEqual(nodeCount <= 6 ? nodeCount : 2);
      for (const { node, box } of all) {
        expect(all.filter((other) => other.node > node && meets(other.box, box))).toEqual([]);
        expect(discs.filter((disc, index) => index !== node && meets(disc, box))).toEqual([]);

      }
    }
  });
});
