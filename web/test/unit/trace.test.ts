import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { KIND, Strings, type TraceEvent, events, textOf } from "../../src/model/trace.ts";
import { Words } from "./words.ts";

const GOLDEN = readFileSync(new URL("../../../tests/data/trace.txt", import.meta.url), "utf8");

function goldenLines(): { name: string; words: Uint32Array }[] {
  return GOLDEN.split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [name = "", ...words] = line.split(/\s+/);
      return { name, words: Uint32Array.from(words, (word) => parseInt(word, 16)) };
    });
}

function golden(name: string): TraceEvent {
  const line = goldenLines().find((one) => one.name === name);
  const [event] = [...events(line?.words ?? new Uint32Array())];
  if (event === undefined) throw new Error(`${name} is not read`);
  return event;
}

/** Kinds of core that the page shows nothing of: one that is in neither list is new, and somebody must say which it is in. */
const PASSED_OVER = new Set([
  "ReadRepaired",
  "TreeCompared",
  "TransferPage",
  "TransferDone",
  "PartitionDropped",
  "LogAppended",
  "MemtableFrozen",
  "TableFlushed",
  "Compacted",
  "ReadStep",
  "TopologyAdopted",
  "Promised",
  "Accepted",
]);

/** As core's `u64` of the golden file. */
const LONG = 0x1_2345_6789;

describe("the golden events of core", () => {
  it("are each read as the kind that core calls it, or passed over on purpose", () => {
    const names = goldenLines().map((line) => line.name);
    const read = Object.keys(KIND).map((name) => name.charAt(0).toUpperCase() + name.slice(1));
    expect([...names].sort()).toEqual([...read, ...PASSED_OVER].sort());
    for (const { name, words } of goldenLines()) {
      const read = [...events(words)];
      if (PASSED_OVER.has(name)) {
        expect(read, name).toEqual([]);
        continue;
      }
      expect(read.length, name).toBe(1);
      expect(read[0]?.kind.toLowerCase(), name).toBe(name.toLowerCase());
      expect([read[0]?.node, read[0]?.us], name).toEqual([5, 1_500_000]);
    }
  });

  it("have their fields where core put them", () => {
    expect(golden("String")).toMatchObject({ name: 0xddbecaf0, text: "a key" });
    expect(golden("Sent")).toMatchObject({ id: BigInt(LONG), from: 1, to: 2, bytes: 300 });
    expect(golden("Received")).toMatchObject({ id: BigInt(LONG), from: 1, to: 2 });
    expect(golden("Lost")).toMatchObject({ id: BigInt(LONG), from: 1, to: 2, why: "full" });
    expect(golden("Crashed")).toMatchObject({ how: "power" });
    expect(golden("Link")).toMatchObject({ from: 1, to: 2, isCut: true });
    expect(golden("OpStarted")).toMatchObject({ op: LONG, verb: "put" });
    expect(golden("OpEnded")).toMatchObject({ op: LONG, outcome: "done" });
    const request = BigInt(LONG);
    expect(golden("RequestStarted")).toMatchObject({ request, verb: "write", partition: 63, key: 0xabcd, handedBy: 2, asker: request + 1n });
    expect(golden("ReplicaAsked")).toMatchObject({ request, member: 2, hedged: true, standsFor: 3 });
    expect(golden("ReplicaAnswered")).toMatchObject({ request, member: 2, answer: "lostToStamp" });
    expect(golden("RequestEnded")).toMatchObject({ request, outcome: "done", acks: 2, hinted: 1 });
    expect(golden("Restamped")).toMatchObject({ request, again: request + 1n });
    expect(golden("PlannedAgain")).toMatchObject({ request, again: request + 1n });
    expect(golden("Stamped")).toMatchObject({ request, stamp: request, member: 3 });
    expect(golden("CellMerged")).toMatchObject({ partition: 63, key: 0xabcd, siblings: 2, changed: true });
    expect(golden("HintStored")).toMatchObject({ target: 2, partition: 63, key: 0xabcd });
    expect(golden("HintDelivered")).toMatchObject({ target: 2, partition: 63, key: 0xabcd });
    expect(golden("LogSynced")).toMatchObject({ through: request });
    expect(golden("Suspected")).toMatchObject({ target: 2, reporter: 1, incarnation: request });
    expect(golden("WentDown")).toMatchObject({ target: 2, reporters: [0, 2], incarnation: request });
    expect(golden("CameUp")).toMatchObject({ target: 2, incarnation: request });
  });
});

describe("records", () => {
  it("of an older and a newer length are read as far as they are known", () => {
    const old = new Words().record("sent", 1, 5, 9, 0, 1, 2, 257, 100).array;
    expect([...events(old)]).toMatchObject([{ id: 9n, message: 257, request: 0n }]);
    const now = new Words().sent(9, 1, 2, 257, 5, 77).array;
    expect([...events(now)]).toMatchObject([{ id: 9n, message: 257, request: 77n }]);
    const later = new Words().record("sent", 1, 5, 9, 0, 1, 2, 257, 100, 77, 0, 1, 2, 3).array;
    expect([...events(later)]).toMatchObject([{ id: 9n, request: 77n }]);
  });

  it("of kinds that are not known yet are passed over", () => {
    const words = new Words().record("restarted", 1, 5).array;
    const unknown = Uint32Array.from([(5 << 16) | 999, 0, 0, 0, 1]);
    expect([...events(Uint32Array.from([...unknown, ...words]))].map((event) => event.kind)).toEqual(["restarted"]);
  });

  it("that are none end the reading, whatever the words are", () => {
    let state = 12_345;
    const next = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0);
    for (let round = 0; round < 2_000; round++) {
      const words = Uint32Array.from({ length: next() % 40 }, () => (next() % 3 === 0 ? next() : next() % (12 << 16)));
      let words_read = 0;
      for (const event of events(words)) words_read += event.kind === "string" ? 0 : 1;
      expect(words_read).toBeLessThanOrEqual(words.length / 4);
    }
    const tooLong = new Words().record("restarted", 1, 5).array;
    tooLong[0] = (400 << 16) | KIND.restarted;
    expect([...events(tooLong)]).toEqual([]);
  });

  it("keep a key that is longer than its record says from reading beyond it", () => {
    const words = new Words().record("string", 0, 0, 7, 1_000_000, 0x61616161).array;
    expect([...events(words)]).toMatchObject([{ name: 7, text: "aaaa" }]);
  });
});

describe("names of keys", () => {
  it("are text, text that was cut, or bytes", () => {
    expect(textOf(new TextEncoder().encode("서울"))).toBe("서울");
    expect(textOf(new TextEncoder().encode("서울").subarray(0, 5))).toBe("서…");
    expect(textOf(Uint8Array.of(0xff, 0x00, 0x61))).toBe("0xff0061");
  });

  it("are forgotten oldest first", () => {
    const strings = new Strings(2);
    strings.add(1, "one");
    strings.add(2, "two");
    strings.add(1, "one");
    strings.add(3, "three");
    expect([strings.text(1), strings.text(2), strings.text(3)]).toEqual(["one", "#00000002", "three"]);
  });
});
