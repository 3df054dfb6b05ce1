import { describe, expect, it } from "vitest";
import { MESSAGE } from "../../src/model/message-kinds.ts";
import { Requests, tracedKey } from "../../src/model/requests.ts";
import type { RequestModel } from "../../src/model/scene.ts";
import { Strings, events } from "../../src/model/trace.ts";
import { Words } from "./words.ts";

const KEY = 0xcafe;
/** Node 0 owns nothing of partition 5; its owners are 1, 2, 3 and the next of the walk is 4. */
const AROUND = {
  ownersOf: (partition: number) => (partition === 5 ? [1, 2, 3] : []),
  quorum: () => 2,
  placeOf: (member: number) => member,
};

class Run {
  readonly strings = new Strings();
  readonly requests: Requests;

  constructor(countMax?: number) {
    this.requests = new Requests(this.strings, AROUND, countMax);
    this.feed(new Words().string(KEY, "cart"));
  }

  feed(words: Words): RequestModel[] {
    for (const event of events(words.array)) {
      if (event.kind === "string") this.strings.add(event.name, event.text);
      else this.requests.on(event);
    }
    return this.requests.models();
  }
}

/** A put through node 0, handed to node 1, as far as its second ack: 900 at the entry is 70 at the owner. */
const HANDED_PUT = new Words()
  .record("requestStarted", 0, 100, 900, 0, 2, 5, KEY, 2, 0, 0, 900, 0)
  .record("replicaAsked", 0, 100, 900, 0, 1, 0, 0)
  .sent(1, 0, 1, MESSAGE.forward, 100, 900)
  .received(1, 0, 1, MESSAGE.forward, 150, 900)
  .record("requestStarted", 1, 150, 70, 0, 1, 5, KEY, 2, 0, 1, 900, 0)
  .record("cellMerged", 1, 160, 5, KEY, 1, 1)
  .record("stamped", 1, 160, 70, 0, 1, 0, 0)
  .record("replicaAsked", 1, 160, 70, 0, 2, 0, 0)
  .record("replicaAsked", 1, 160, 70, 0, 4, 0, 4)
  .sent(2, 1, 2, MESSAGE.write, 160, 70)
  .sent(3, 1, 4, MESSAGE.write, 160, 70)
  .record("logSynced", 1, 190, 1, 0)
  .record("replicaAnswered", 1, 190, 70, 0, 1, 0)
  .received(2, 1, 2, MESSAGE.write, 200, 70)
  .record("logSynced", 2, 230, 1, 0)
  .sent(4, 2, 1, MESSAGE.writeAnswer, 230, 70)
  .record("replicaAnswered", 1, 260, 70, 0, 2, 0)
  .record("requestEnded", 1, 260, 70, 0, 0, 2, 0);

describe("a put of a script", () => {
  it("has its value from there, for events carry none", () => {
    const run = new Run();
    run.requests.scripted([{ atUs: 100, node: 0, key: "cart", value: "milk" }, { atUs: 900, node: 0, key: "cart", value: "later" }]);
    const [first, second] = run.feed(
      new Words().record("opStarted", 0, 100, 5, 0, 1, 0, KEY).record("opStarted", 0, 800, 6, 0, 1, 0, KEY),
    );
    expect([first?.value, second?.value]).toEqual(["milk", null]);
  });
});

describe("a put that is handed to an owner", () => {
  it("is one request, coordinated by the owner", () => {
    const run = new Run();
    const [request, ...others] = run.feed(HANDED_PUT);
    expect(others).toEqual([]);
    expect(request).toMatchObject({ number: 1, verb: "put", key: "cart", entry: 0, coordinator: 1, partition: 5, needed: 2 });
    // The owner has ended; the answer is still on its way to the entry.
    expect(request).toMatchObject({ outcome: "running", decidedUs: 260, endedUs: null, siblings: 1 });
    const [ended] = run.feed(
      new Words().record("replicaAnswered", 0, 300, 900, 0, 1, 0).record("requestEnded", 0, 300, 900, 0, 0, 2, 0),
    );
    expect(ended).toMatchObject({ outcome: "done", startedUs: 100, endedUs: 300, why: null });
    expect(ended?.votes).toEqual([
      { node: 1, hinted: false, atUs: 190 },
      { node: 2, hinted: false, atUs: 260 },
    ]);
  });

  it("is told from another of the same key by who handed it over", () => {
    const run = new Run();
    run.feed(
      new Words()
        .record("requestStarted", 0, 100, 900, 0, 2, 5, KEY, 2, 0, 0, 1, 0)
        .record("replicaAsked", 0, 100, 900, 0, 1, 0, 0)
        .record("requestStarted", 3, 100, 900, 0, 2, 5, KEY, 2, 0, 0, 1, 0)
        .record("replicaAsked", 3, 100, 900, 0, 1, 0, 0)
        // The later one comes first.
        .record("requestStarted", 1, 150, 70, 0, 1, 5, KEY, 2, 0, 4, 900, 0)
        .record("replicaAnswered", 1, 160, 70, 0, 1, 0),
    );
    const models = run.feed(
      new Words()
        .record("requestStarted", 1, 170, 71, 0, 1, 5, KEY, 2, 0, 1, 900, 0)
        .record("replicaAnswered", 1, 180, 71, 0, 1, 0)
        .record("replicaAnswered", 1, 190, 70, 0, 2, 0)
        .record("replicaAnswered", 1, 200, 71, 0, 4, 0),
    );
    const votes = (entry: number) => models.find((one) => one.entry === entry)?.votes.map((vote) => [vote.node, vote.atUs]);
    expect(models).toHaveLength(2);
    expect(votes(0)).toEqual([[1, 180], [4, 200]]);
    expect(votes(3)).toEqual([[1, 160], [2, 190]]);
  });

  it("needs as many votes as its coordinator says, whatever the keyspace's W is", () => {
    const told = (needed: number, ofNext: number) =>
      new Run().feed(new Words().record("requestStarted", 1, 10, 70, 0, 1, 5, KEY, needed, ofNext, 0, 70, 0))[0]?.needed;
    // Alone, among three, and while the partition moves to more.
    expect([told(1, 0), told(2, 0), told(1, 2)]).toEqual([1, 2, 2]);
  });

  it("shows each leg's stages: asked, reached, synced, answered", () => {
    const [request] = new Run().feed(HANDED_PUT);
    const leg = (node: number) => request?.legs.find((one) => one.node === node);
    expect(leg(1)).toMatchObject({ role: "owner", askedUs: 160, reachedUs: 160, syncedUs: 190, answeredUs: 190, answer: "ack" });
    expect(leg(2)).toMatchObject({ role: "owner", askedUs: 160, reachedUs: 200, syncedUs: 230, answeredUs: 260, answer: "ack" });
    expect(leg(4)).toMatchObject({ role: "fallback", standsFor: 3, askedUs: 160, reachedUs: null, answer: null });
  });

  it("knows its messages", () => {
    const run = new Run();
    run.feed(HANDED_PUT);
    expect([1, 2, 3, 4, 5].map((id) => run.requests.requestOfMessage(BigInt(id))?.number ?? null)).toEqual([1, 1, 1, 1, null]);
  });

  it("is the same if a turn's messages are told of before the turn's own events, as the simulator does", () => {
    const run = new Run();
    run.feed(
      new Words()
        .sent(1, 1, 2, MESSAGE.write, 160, 70)
        .record("requestStarted", 1, 160, 70, 0, 1, 5, KEY, 2, 0, 0, 70, 0)
        .record("replicaAsked", 1, 160, 70, 0, 2, 0, 0)
        .received(1, 1, 2, MESSAGE.write, 200, 70)
        .sent(2, 2, 1, MESSAGE.writeAnswer, 230, 70)
        .record("logSynced", 2, 230, 1, 0),
    );
    expect([1, 2].map((id) => run.requests.requestOfMessage(BigInt(id))?.number)).toEqual([1, 1]);
    expect(run.requests.models()[0]?.legs).toMatchObject([{ node: 2, reachedUs: 200, syncedUs: 230, answeredUs: null }]);
  });

  it("shows an answer that comes after its quorum, which is no vote any more", () => {
    const run = new Run();
    const [request] = run.feed(
      new Words()
        .record("requestStarted", 1, 160, 70, 0, 1, 5, KEY, 2, 0, 0, 70, 0)
        .record("replicaAsked", 1, 160, 70, 0, 2, 0, 0)
        .received(1, 1, 2, MESSAGE.write, 200, 70)
        .record("requestEnded", 1, 210, 70, 0, 0, 2, 0)
        .sent(2, 2, 1, MESSAGE.writeAnswer, 230, 70)
        .record("logSynced", 2, 230, 1, 0)
        .received(2, 2, 1, MESSAGE.writeAnswer, 260, 70),
    );
    expect(request?.legs).toMatchObject([{ node: 2, syncedUs: 230, answeredUs: 260, answer: "ack" }]);
    expect(request?.votes).toEqual([]);
  });

  it("counts a fallback's ack as hinted", () => {
    const [request] = new Run().feed(
      new Words()
        .record("requestStarted", 1, 10, 70, 0, 1, 5, KEY, 2, 0, 0, 70, 0)
        .record("replicaAsked", 1, 10, 70, 0, 4, 0, 4)
        .record("replicaAnswered", 1, 20, 70, 0, 4, 0),
    );
    expect(request?.votes).toEqual([{ node: 4, hinted: true, atUs: 20 }]);
  });

  it("begins its legs anew when it is stamped again, and votes count once", () => {
    const run = new Run();
    const [request] = run.feed(
      new Words()
        .record("requestStarted", 1, 10, 70, 0, 1, 5, KEY, 2, 0, 0, 70, 0)
        .record("stamped", 1, 10, 70, 0, 1, 0, 0)
        .record("replicaAnswered", 1, 20, 70, 0, 1, 0)
        .record("replicaAnswered", 1, 20, 70, 0, 2, 5)
        .record("restamped", 1, 25, 70, 0, 71, 0)
        .record("stamped", 1, 25, 71, 0, 2, 0, 0)
        .record("replicaAnswered", 1, 30, 71, 0, 1, 0)
        .record("replicaAnswered", 1, 31, 71, 0, 1, 0),
    );
    expect(request?.votes).toEqual([{ node: 1, hinted: false, atUs: 30 }]);
  });

  it("is the page's own if the page has asked for it, and has its verb and value", () => {
    const run = new Run();
    run.requests.asked({ ask: 4, verb: "del", key: "cart", value: null, entry: 0, needed: 3, atUs: 90 });
    run.feed(new Words().record("opStarted", 0, 90, 900, 0, 2, 0, KEY));
    const models = run.feed(HANDED_PUT);
    expect(models).toMatchObject([{ number: 1, verb: "del", needed: 2, startedUs: 90, coordinator: 1 }]);
  });
});

describe("a request of a simulated client", () => {
  it("is told from others of the same key at the same node by what its client calls it", () => {
    const run = new Run();
    run.feed(
      new Words()
        .record("opStarted", 1, 10, 5, 0, 0, 0, KEY)
        .record("opStarted", 1, 10, 6, 0, 0, 0, KEY)
        // The one that began last is taken up first.
        .record("requestStarted", 1, 11, 70, 0, 0, 5, KEY, 1, 0, 0, 6, 0)
        .record("requestStarted", 1, 12, 71, 0, 0, 5, KEY, 1, 0, 0, 5, 0)
        .record("replicaAnswered", 1, 20, 70, 0, 2, 2)
        .record("opEnded", 1, 20, 6, 0, 0)
        .record("requestEnded", 1, 20, 70, 0, 0, 1, 0)
        .record("replicaAnswered", 1, 30, 71, 0, 1, 1),
    );
    expect(run.requests.models()).toMatchObject([
      { number: 1, outcome: "running", votes: [{ node: 1 }] },
      { number: 2, outcome: "done", endedUs: 20, votes: [{ node: 2 }] },
    ]);
  });

  it("is told how it was decided after its end, if one turn did both", () => {
    const models = new Run().feed(
      new Words()
        .record("opStarted", 1, 10, 5, 0, 0, 0, KEY)
        .record("opEnded", 1, 10, 5, 0, 0)
        .record("requestStarted", 1, 10, 70, 0, 0, 5, KEY, 1, 0, 0, 5, 0)
        .record("replicaAnswered", 1, 10, 70, 0, 1, 2)
        .record("requestEnded", 1, 10, 70, 0, 0, 1, 0),
    );
    expect(models).toMatchObject([{ verb: "get", outcome: "done", needed: 1, coordinator: 1, votes: [{ node: 1 }] }]);
  });

  it("that sets an expiry reads first, and is decided by its write", () => {
    const run = new Run();
    const [read] = run.feed(
      new Words()
        .record("opStarted", 1, 10, 5, 0, 3, 0, KEY)
        .record("requestStarted", 1, 10, 70, 0, 0, 5, KEY, 2, 0, 0, 5, 0)
        .record("replicaAnswered", 1, 20, 70, 0, 2, 2)
        .record("requestEnded", 1, 20, 70, 0, 0, 1, 0),
    );
    expect(read).toMatchObject({ verb: "put", votes: [{ node: 2 }] });
    const write = new Words().record("requestStarted", 1, 20, 71, 0, 3, 5, KEY, 3, 0, 0, 5, 0).record("replicaAnswered", 1, 40, 71, 0, 4, 0);
    expect(run.feed(write)).toMatchObject([{ verb: "put", needed: 3, outcome: "running", endedUs: null, votes: [{ node: 4 }] }]);
  });
});

describe("an expiry that one turn reads, writes and ends", () => {
  it("is told by its write", () => {
    const models = new Run().feed(
      new Words()
        .record("opStarted", 1, 10, 5, 0, 3, 0, KEY)
        .record("opEnded", 1, 10, 5, 0, 0)
        .record("requestStarted", 1, 10, 70, 0, 0, 5, KEY, 1, 0, 0, 5, 0)
        .record("requestEnded", 1, 10, 70, 0, 0, 1, 0)
        .record("requestStarted", 1, 10, 71, 0, 3, 5, KEY, 1, 0, 0, 5, 0)
        .record("replicaAnswered", 1, 10, 71, 0, 1, 0)
        .record("requestEnded", 1, 10, 71, 0, 0, 1, 0),
    );
    expect(models).toMatchObject([{ verb: "put", outcome: "done", votes: [{ node: 1 }] }]);
  });
});

describe("a put that two owners are handed, the first of which is slow", () => {
  const handed = (): Run => {
    const run = new Run();
    run.feed(HANDED_PUT);
    run.feed(
      new Words()
        .record("replicaAsked", 0, 270, 900, 0, 2, 0, 0)
        .record("requestStarted", 2, 280, 33, 0, 1, 5, KEY, 2, 0, 1, 900, 0)
        .record("replicaAnswered", 2, 290, 33, 0, 2, 0),
    );
    return run;
  };
  const answered = (by: number): Words =>
    new Words().record("replicaAnswered", 0, 300, 900, 0, by, 0).record("requestEnded", 0, 300, 900, 0, 0, 2, 0);

  it("shows the one that began last, and in the end the one whose answer its entry has", () => {
    const run = handed();
    expect(run.requests.models()).toMatchObject([{ coordinator: 2, votes: [{ node: 2, atUs: 290 }] }]);
    expect(run.feed(answered(1))).toMatchObject([
      { outcome: "done", coordinator: 1, decidedUs: 260, votes: [{ node: 1, atUs: 190 }, { node: 2, atUs: 260 }] },
    ]);
  });

  it("stays as it ended, whoever goes on", () => {
    const run = handed();
    run.feed(answered(1));
    const models = run.feed(
      new Words()
        .record("plannedAgain", 1, 400, 70, 0, 75, 0)
        .record("requestStarted", 2, 410, 34, 0, 1, 5, KEY, 2, 0, 1, 900, 0)
        .record("replicaAnswered", 2, 420, 34, 0, 2, 0),
    );
    expect(models).toMatchObject([{ coordinator: 1, endedUs: 300, votes: [{ node: 1 }, { node: 2 }] }]);
  });
});

describe("a get", () => {
  it("has cells, absences and refusals; only answers are votes", () => {
    const [request] = new Run().feed(
      new Words()
        .record("requestStarted", 2, 10, 8, 0, 0, 5, KEY, 2, 0, 0, 8, 0)
        .record("replicaAsked", 2, 10, 8, 0, 2, 0, 0)
        .record("replicaAnswered", 2, 11, 8, 0, 2, 2)
        .record("replicaAsked", 2, 10, 8, 0, 3, 1, 0)
        .record("replicaAnswered", 2, 30, 8, 0, 3, 4)
        .record("replicaAnswered", 2, 31, 8, 0, 1, 1)
        .record("requestEnded", 2, 31, 8, 0, 0, 2, 0),
    );
    expect(request).toMatchObject({ verb: "get", coordinator: 2, outcome: "done", endedUs: 31 });
    expect(request?.votes.map((vote) => vote.node)).toEqual([2, 1]);
    expect(request?.legs.map((leg) => [leg.node, leg.answer, leg.hedged])).toEqual([
      [2, "cell", false],
      [3, "refused", true],
      [1, "absent", false],
    ]);
  });
});

describe("a client's operation", () => {
  it("names the verb, and ends what no node has begun", () => {
    const run = new Run();
    const [deleted, refused] = run.feed(
      new Words()
        .record("opStarted", 0, 90, 900, 0, 2, 0, KEY)
        .record("opStarted", 3, 91, 2, 0, 0, 0, KEY)
        .record("opEnded", 3, 95, 2, 0, 1, 0, 0),
    );
    expect(deleted).toMatchObject({ verb: "del", key: "cart", entry: 0, startedUs: 90, outcome: "running" });
    expect(refused).toMatchObject({ verb: "get", entry: 3, outcome: "notDone", endedUs: 95 });
    const models = run.feed(HANDED_PUT);
    expect(models.map((one) => [one.number, one.verb, one.coordinator])).toEqual([
      [1, "del", 1],
      [2, "get", null],
    ]);
  });

  it("is the page's own if the page has asked for it", () => {
    const run = new Run();
    run.requests.asked({ ask: 4, verb: "put", key: "cart", value: "milk", entry: 0, needed: null, atUs: 89 });
    run.feed(new Words().record("opStarted", 0, 90, 900, 0, 1, 0, KEY));
    expect(run.feed(HANDED_PUT)).toMatchObject([{ number: 1, value: "milk", startedUs: 90, coordinator: 1 }]);
  });
});

describe("requests", () => {
  it("name owners that are Down by their coordinator's word as skipped", () => {
    const [request] = new Run().feed(
      new Words()
        .record("wentDown", 1, 5, 3, 0b110, 0, 1, 0)
        .record("wentDown", 2, 5, 2, 0b110, 0, 1, 0)
        .record("requestStarted", 1, 10, 70, 0, 1, 5, KEY, 2, 0, 0, 70, 0),
    );
    expect(request?.skipped).toEqual([3]);
  });

  it("that were refused at once have no events, and end with their answer", () => {
    const run = new Run();
    run.requests.asked({ ask: 1, verb: "put", key: "cart", value: "milk", entry: 2, needed: null, atUs: 50 });
    run.requests.told({ ask: 1, outcome: "notDone", why: "CLUSTERDOWN", siblings: 0, atUs: 60 });
    expect(run.requests.models()).toMatchObject([
      { outcome: "notDone", why: "CLUSTERDOWN", startedUs: 50, endedUs: 60, value: "milk", coordinator: null },
    ]);
  });

  it("of an earlier life of a node are not those of the next, which counts anew", () => {
    const models = new Run().feed(
      new Words()
        .record("requestStarted", 1, 10, 70, 0, 1, 5, KEY, 2, 0, 0, 9, 0)
        .record("requestEnded", 1, 20, 70, 0, 0, 2, 0)
        .record("requestStarted", 1, 500, 70, 0, 0, 5, KEY, 2, 0, 0, 9, 0),
    );
    expect(models).toMatchObject([{ verb: "put", outcome: "done", endedUs: 20 }, { verb: "get", outcome: "running" }]);
  });

  it("end unknown when their entry stops under them", () => {
    const [request] = new Run().feed(
      new Words().record("requestStarted", 1, 10, 70, 0, 1, 5, KEY, 2, 0, 0, 70, 0).record("crashed", 1, 30, 0),
    );
    expect(request).toMatchObject({ outcome: "unknown", endedUs: 30 });
  });

  it("are shown as the same objects until something changes", () => {
    const run = new Run();
    const before = run.feed(new Words().record("requestStarted", 1, 10, 70, 0, 1, 5, KEY, 2, 0, 0, 70, 0).record("requestStarted", 2, 10, 8, 0, 0, 5, KEY, 2, 0, 0, 8, 0));
    expect(run.requests.models()).toBe(before);
    const after = run.feed(new Words().record("requestEnded", 2, 20, 8, 0, 0, 2, 0));
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
    expect(before[1]?.outcome).toBe("running");
  });

  it("are forgotten oldest first, and their late events too", () => {
    const run = new Run(3);
    for (let id = 1; id <= 5; id++) run.feed(new Words().record("requestStarted", 1, id, id, 0, 0, 5, KEY, 2, 0, 0, id, 0).sent(id, 1, 2, MESSAGE.read, id, id));
    const models = run.feed(new Words().record("requestEnded", 1, 9, 1, 0, 0, 2, 0));
    expect(models.map((one) => one.number)).toEqual([3, 4, 5]);
    expect([run.requests.requestOfMessage(1n), run.requests.requestOfMessage(4n)?.number]).toEqual([null, 4]);
  });

  it("have keys that are as long as events carry them", () => {
    expect(tracedKey("k".repeat(64))).toBe("k".repeat(64));
    expect(tracedKey("k".repeat(65))).toBe("k".repeat(64));
  });
});
