import { describe, expect, it } from "vitest";
import { Timeline } from "../../src/model/timeline.ts";
import { events } from "../../src/model/trace.ts";
import { cluster, summary } from "./pictures.ts";
import { Words } from "./words.ts";

function marksOf(words: Words, countMax?: number) {
  const timeline = new Timeline((member) => member, countMax);
  for (const event of events(words.array)) timeline.on(event);
  return timeline.marks([]);
}

describe("marks", () => {
  it("of links that are cut at once are one cut between two sides, which ends when all are healed", () => {
    const cut = new Words();
    for (const [a, b] of [[0, 2], [0, 3], [1, 2], [1, 3]] as const) {
      cut.record("link", a, 100, a, b, 0).record("link", b, 100, b, a, 0);
    }
    expect(marksOf(cut)).toEqual([{ kind: "cut", fromUs: 100, toUs: null, one: [0, 1], other: [2, 3] }]);
    for (const [a, b] of [[0, 2], [0, 3], [1, 2]] as const) {
      cut.record("link", a, 200, a, b, 1).record("link", b, 200, b, a, 1);
    }
    expect(marksOf(cut)).toMatchObject([{ toUs: null }]);
    cut.record("link", 1, 300, 1, 3, 1).record("link", 3, 300, 3, 1, 1);
    expect(marksOf(cut)).toMatchObject([{ fromUs: 100, toUs: 300 }]);
  });

  it("of a stopped node last until it starts again", () => {
    const words = new Words().record("crashed", 2, 10, 0).record("restarted", 2, 40).record("crashed", 2, 50, 1);
    expect(marksOf(words)).toEqual([
      { kind: "crash", how: "stopped", fromUs: 10, toUs: 40, node: 2 },
      { kind: "crash", how: "stopped", fromUs: 50, toUs: null, node: 2 },
    ]);
  });

  it("of a node whose disk is gone say so, whether it was told as it stopped or at its start", () => {
    const words = new Words().record("crashed", 2, 10, 1).record("crashed", 2, 10, 3).record("restarted", 2, 40).record("crashed", 1, 50, 3).record("restarted", 1, 50).record("crashed", 3, 60, 2);
    expect(marksOf(words)).toEqual([
      { kind: "crash", how: "wiped", fromUs: 10, toUs: 40, node: 2 },
      { kind: "crash", how: "wiped", fromUs: 50, toUs: 50, node: 1 },
      { kind: "crash", how: "paused", fromUs: 60, toUs: null, node: 3 },
    ]);
  });

  it("of many opinions are one: down with its reporters, and back", () => {
    const words = new Words()
      .record("suspected", 0, 5, 2, 0, 7, 0)
      .record("suspected", 1, 6, 2, 1, 7, 0)
      .record("wentDown", 0, 8, 2, 0b11, 0, 7, 0)
      .record("wentDown", 1, 9, 2, 0b11, 0, 7, 0)
      .record("cameUp", 1, 20, 2, 8, 0)
      .record("cameUp", 0, 21, 2, 8, 0)
      .record("cameUp", 0, 22, 1, 8, 0)
      .record("wentDown", 0, 30, 2, 0b11, 0, 8, 0);
    expect(marksOf(words)).toEqual([
      { kind: "suspected", atUs: 5, by: 0, of: 2 },
      { kind: "suspected", atUs: 6, by: 1, of: 2 },
      { kind: "down", atUs: 8, of: 2, reporters: [0, 1] },
      { kind: "up", atUs: 20, of: 2 },
      { kind: "down", atUs: 30, of: 2, reporters: [0, 1] },
    ]);
  });

  it("of slow and lossy nodes last until that changes", () => {
    const words = new Words()
      .record("slowed", 0, 20, 50)
      .record("slowed", 0, 30, 80)
      .record("lossy", 0, 30, 100)
      .record("lossy", 0, 35, 200)
      .record("slowed", 0, 40, 0)
      .record("lossy", 0, 40, 0);
    expect(marksOf(words)).toEqual([
      { kind: "slow", fromUs: 20, toUs: 30, node: 0, ms: 50 },
      { kind: "slow", fromUs: 30, toUs: 40, node: 0, ms: 80 },
      { kind: "loss", fromUs: 30, toUs: 40, node: 0 },
    ]);
  });

  it("of a paused node end when a picture shows it running", () => {
    const timeline = new Timeline((member) => member);
    for (const event of events(new Words().record("crashed", 0, 10, 2).array)) timeline.on(event);
    timeline.onPicture(cluster(1, { nowUs: 20, nodes: [summary("n0", { state: "paused" })] }));
    expect(timeline.marks([])).toMatchObject([{ kind: "crash", toUs: null }]);
    timeline.onPicture(cluster(1, { nowUs: 30, nodes: [summary("n0")] }));
    expect(timeline.marks([])).toMatchObject([{ kind: "crash", toUs: 30 }]);
  });

  it("of a cut end when a script has healed all at once, which no event of a link tells", () => {
    const timeline = new Timeline((member) => member);
    for (const event of events(new Words().record("link", 0, 10, 0, 1, 0).array)) timeline.on(event);
    timeline.onPicture(cluster(2, { nowUs: 20, cuts: [[0, 1]] }));
    expect(timeline.marks([])).toMatchObject([{ kind: "cut", toUs: null }]);
    timeline.onPicture(cluster(2, { nowUs: 30, cuts: [] }));
    expect(timeline.marks([])).toMatchObject([{ kind: "cut", toUs: 30 }]);
  });

  it("are bounded, and what still lasts stays", () => {
    const words = new Words().record("crashed", 9, 1, 0);
    for (let us = 10; us < 30; us++) words.record("crashed", 1, us * 2, 0).record("restarted", 1, us * 2 + 1);
    const marks = marksOf(words, 5);
    expect(marks.length).toBe(5);
    expect(marks[0]).toEqual({ kind: "crash", how: "stopped", fromUs: 1, toUs: null, node: 9 });
  });
});
