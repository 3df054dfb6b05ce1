import { describe, expect, it } from "vitest";
import { LiveEngine, type LivePost } from "../../src/engine/live.ts";
import type { SocketEars } from "../../src/engine/live-parts.ts";
import { LiveModel } from "../../src/model/live.ts";
import { Malformed, clusterPicture } from "../../src/engine/pictures.ts";
import { MESSAGE } from "../../src/model/message-kinds.ts";
import { cluster, summary } from "./pictures.ts";
import { Words } from "./words.ts";

const A = "127.0.0.1:9801";
const B = "127.0.0.1:9802";
const C = "127.0.0.1:9803";

const picture = (nowUs = 1_000_000) =>
  cluster(3, {
    nowUs,
    nodes: [A, B, C].map((admin, index) => summary(`n${index + 1}`, { member: index + 1, admin, listen: admin, keys: 10 })),
  });

/** Three members behind sockets that the test opens, feeds and breaks. */
class Net {
  wall = 1_000_000;
  readonly sockets: { address: string; ears: SocketEars; isOpen: boolean }[] = [];
  readonly posts: LivePost[] = [];
  readonly asked: string[] = [];
  answer: (url: string) => { kind: "json"; value: unknown } | { kind: "refused" } = () => ({ kind: "json", value: { cluster: picture() } });
  #timers: { at: number; then: () => void }[] = [];
  readonly engine = new LiveEngine(
    A,
    {
      openSocket: (url, ears) => {
        const socket = { address: url.replace("ws://", "").replace("/events", ""), ears, isOpen: true };
        this.sockets.push(socket);
        return { close: () => (socket.isOpen = false) };
      },
      fetchJson: (url) => {
        this.asked.push(url);
        return Promise.resolve().then(() => this.answer(url));
      },
      wallMs: () => this.wall,
      isSecure: false,
      later: (ms, then) => {
        const timer = { at: this.wall + ms, then };
        this.#timers.push(timer);
        return () => (this.#timers = this.#timers.filter((one) => one !== timer));
      },
    },
    (post) => this.posts.push(post),
  );

  to(address: string): { ears: SocketEars } {
    const found = this.sockets.filter((socket) => socket.address === address).at(-1);
    if (found === undefined) throw new Error(`${address} was not attached to`);
    return found;
  }
  first(address: string, node: string): void {
    this.to(address).ears.onMessage(JSON.stringify({ node, me: 1, topology: {}, picture: picture() }));
  }
  async pass(ms: number): Promise<void> {
    const end = this.wall + ms;
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    for (;;) {
      const next = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.wall = next.at;
      next.then();
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    }
    this.wall = end;
  }
}

describe("connections to live members", () => {
  it("are made to all that the first one names, once each", () => {
    const net = new Net();
    net.engine.start();
    net.first(A, "n1");
    net.first(B, "n2");
    expect(net.sockets.map((socket) => socket.address)).toEqual([A, B, C]);
  });

  it("are by TLS for a page that came by TLS", async () => {
    const urls: string[] = [];
    const parts = {
      openSocket: (url: string) => {
        urls.push(url);
        return { close: () => undefined };
      },
      fetchJson: (url: string) => Promise.reject(new Error(String(urls.push(url)))),
      wallMs: () => 0,
      later: () => () => undefined,
      isSecure: true,
    };
    const engine = new LiveEngine(A, parts, () => undefined);
    engine.start();
    engine.select("cart", null);
    await Promise.resolve();
    expect(urls).toEqual([`wss://${A}/events`, `https://${A}/picture?key=cart`]);
  });

  it("carry words in little-endian, rates and gaps", () => {
    const net = new Net();
    net.engine.start();
    net.first(A, "n1");
    net.to(A).ears.onMessage(Uint8Array.of(1, 0, 0, 0, 0, 1, 0, 0, 9).buffer);
    net.to(A).ears.onMessage(JSON.stringify({ sampled: 20, ms: 1_000, events: 500, reads: 1, writes: 100 }));
    net.to(A).ears.onMessage(JSON.stringify({ dropped: 3 }));
    expect(net.posts.slice(1)).toMatchObject([
      { kind: "batch", words: Uint32Array.of(1, 256) },
      { kind: "rates", rates: { sampled: 20, writes: 100 } },
      { kind: "dropped", count: 3 },
    ]);
  });

  it("are tried again, ever less often, and at once when they work again", async () => {
    const net = new Net();
    net.engine.start();
    net.first(A, "n1");
    const tries = (): number => net.sockets.filter((socket) => socket.address === A).length;
    net.to(A).ears.onClose();
    expect(net.posts.at(-1)).toMatchObject({ kind: "lost", address: A, retryAtMs: net.wall + 250 });
    await net.pass(250);
    expect(tries()).toBe(2);
    for (const wait of [500, 1_000, 2_000, 2_000]) {
      net.to(A).ears.onClose();
      const before = tries();
      await net.pass(wait - 1);
      expect(tries()).toBe(before);
      await net.pass(1);
      expect(tries()).toBe(before + 1);
    }
    net.first(A, "n1");
    net.to(A).ears.onClose();
    expect(net.posts.at(-1)).toMatchObject({ kind: "lost", retryAtMs: net.wall + 250 });
  });

  it("that never begin, and never say so, are given up and tried again", async () => {
    const net = new Net();
    net.engine.start();
    await net.pass(3_900);
    expect([net.sockets.length, net.posts.length]).toEqual([1, 0]);
    await net.pass(500);
    expect(net.posts[0]).toMatchObject({ kind: "lost", address: A });
    expect(net.sockets.map((socket) => socket.isOpen)).toEqual([false, true]);
  });

  it("outlive messages that are none", () => {
    const net = new Net();
    net.engine.start();
    for (const data of ["", "{", "[]", "null", '{"node":5}', '{"node":"n1","picture":{"nodes":7}}', 5, null]) {
      net.to(A).ears.onMessage(data);
    }
    expect(net.posts).toEqual([]);
    net.first(A, "n1");
    expect(net.posts.length).toBe(1);
  });

  it("ask for pictures of what is selected: the key everywhere, the inside of a node there", async () => {
    const net = new Net();
    net.engine.start();
    for (const [address, node] of [[A, "n1"], [B, "n2"], [C, "n3"]] as const) net.first(address, node);
    net.engine.select("city:KR Seoul", "n2");
    await net.pass(1);
    expect(net.asked).toEqual([
      `http://${A}/picture?key=city%3AKR+Seoul`,
      `http://${B}/picture?key=city%3AKR+Seoul&node=1`,
      `http://${C}/picture?key=city%3AKR+Seoul`,
    ]);
  });

  it("end when the server forbids them", async () => {
    const net = new Net();
    net.answer = () => ({ kind: "refused" });
    net.engine.start();
    net.to(A).ears.onClose();
    await net.pass(5_000);
    expect(net.posts.map((post) => post.kind)).toEqual(["lost", "refused"]);
    expect(net.sockets.length).toBe(1);
    const asked = net.asked.length;
    net.engine.select("cart", null);
    await net.pass(5_000);
    expect(net.asked.length).toBe(asked);
  });

  it("follow a member to another address, and leave one that is none any more", async () => {
    const net = new Net();
    net.engine.start();
    for (const [address, node] of [[A, "n1"], [B, "n2"], [C, "n3"]] as const) net.first(address, node);
    net.to(B).ears.onClose();
    net.to(C).ears.onClose();
    const moved = "127.0.0.1:9912";
    const now = picture();
    now.nodes = [summary("n1", { member: 1, admin: A }), summary("n2", { member: 2, admin: moved })];
    net.answer = () => ({ kind: "json", value: { cluster: { ...now, epoch: 2 } } });
    await net.pass(600);
    expect(net.posts.filter((post) => post.kind === "left").map((post) => post.address)).toEqual([B, C]);
    net.first(moved, "n2");
    const count = net.sockets.length;
    // An older picture brings nobody back.
    net.answer = () => ({ kind: "json", value: { cluster: picture() } });
    await net.pass(5_000);
    expect(net.sockets.length).toBe(count);
  });

  it("to a member are one, however its address is written", async () => {
    const net = new Net();
    net.engine.start();
    net.first(A, "n1");
    net.first(B, "n2");
    net.first(C, "n3");
    net.to(A).ears.onClose();
    const now = picture();
    now.nodes = now.nodes.map((node) => (node.name === "n1" ? { ...node, admin: "localhost:9801" } : node));
    net.answer = () => ({ kind: "json", value: { cluster: now } });
    await net.pass(600);
    net.first("localhost:9801", "n1");
    net.first(A, "n1");
    expect(net.posts.at(-1)).toMatchObject({ kind: "left", address: A });
    const count = net.sockets.length;
    await net.pass(5_000);
    expect(net.sockets.length).toBe(count);
  });
});

describe("a live scene", () => {
  const attached = () => {
    const model = new LiveModel(A);
    for (const [address, node] of [[A, "n1"], [B, "n2"], [C, "n3"]] as const) {
      model.on({ kind: "attached", address, node, picture: picture(), atMs: 50_000 });
    }
    return model;
  };

  it("is attaching, attached, lost with the picture kept, and refused", () => {
    const model = new LiveModel(A);
    model.tick(1_000);
    expect([model.facts().status, model.trouble(), model.picture()]).toEqual(["attaching", null, null]);
    const live = attached();
    expect([live.facts().status, live.picture()?.nodes.length, live.facts().keys]).toEqual(["attached", 3, 10]);
    for (const address of [A, B]) live.on({ kind: "lost", address, atMs: 51_000, retryAtMs: 51_250 });
    expect(live.facts().status).toBe("attached");
    live.on({ kind: "lost", address: C, atMs: 51_000, retryAtMs: 51_250 });
    live.tick(51_050);
    expect(live.facts()).toMatchObject({ status: "lost", retryInMs: 200 });
    expect(live.trouble()).toEqual({ code: "connectionLost", holes: { address: A } });
    expect(live.picture()?.nodes.length).toBe(3);
    live.on({ kind: "refused", address: A, atMs: 52_000 });
    expect(live.trouble()).toEqual({ code: "refused", holes: { address: A } });
  });

  it("is unreachable, not lost, as long as nobody has ever spoken there", () => {
    const model = new LiveModel(A);
    model.on({ kind: "lost", address: A, atMs: 1_000, retryAtMs: 1_250 });
    expect([model.facts().status, model.trouble()]).toEqual(["unreachable", { code: "unreachable", holes: { address: A } }]);
    model.on({ kind: "attached", address: A, node: "n1", picture: picture(), atMs: 2_000 });
    expect([model.facts().status, model.trouble()]).toEqual(["attached", null]);
    // What was there is missed, and said to be; what was not, is not.
    expect(model.takeNews()).toEqual([]);
    model.on({ kind: "lost", address: A, atMs: 3_000, retryAtMs: 3_250 });
    expect(model.takeNews()).toEqual([{ kind: "connectionLost", address: A }]);
    model.on({ kind: "attached", address: A, node: "n1", picture: picture(), atMs: 3_500 });
    model.on({ kind: "lost", address: A, atMs: 4_000, retryAtMs: 4_250 });
    expect(model.takeNews().map((one) => one.kind)).toEqual(["connectionBack", "connectionLost"]);
    expect([model.facts().status, model.trouble()?.code]).toEqual(["lost", "connectionLost"]);
  });

  it("takes each node's own word about itself", () => {
    const model = attached();
    const own = picture();
    own.nodes[1] = { ...summary("n2", { member: 2, admin: B }), hints: 4, keys: 99, memtableBytes: 5 };
    model.on({ kind: "pictures", address: B, pictures: { cluster: own, node: null, key: null }, key: null, atMs: 50_500 });
    expect(model.picture()?.nodes[1]).toMatchObject({ hints: 4, keys: 99, memtableBytes: 5 });
    own.nodes[0] = summary("n1", { member: 1, admin: A, keys: 12_345 });
    expect(model.picture()?.nodes[0]?.keys).toBe(10);
  });

  it("tells of a Down with both reporters, and of its return", () => {
    const model = attached();
    const words = (node: number, us: number, build: (words: Words) => Words) =>
      ({ kind: "batch", words: build(new Words()).array, node, us }) as const;
    const down = words(1, 0, (w) =>
      w
        .record("suspected", 1, 2_000_000, 2, 1, 7, 0)
        .record("suspected", 1, 2_600_000, 2, 3, 7, 0)
        .record("wentDown", 1, 2_600_000, 2, 0b1010, 0, 7, 0),
    );
    model.on({ kind: "batch", address: A, words: down.words, atMs: 52_000 });
    expect(model.facts().lastDown).toEqual({ node: 1, reporters: [0, 2], atMs: 52_000, apartMs: 600, backAfterMs: null });
    expect(model.takeNews()).toEqual([{ kind: "down", node: 1, reporters: [0, 2] }]);
    model.on({ kind: "batch", address: C, words: down.words, atMs: 52_100 });
    expect(model.takeNews()).toEqual([]);
    model.on({ kind: "batch", address: A, words: new Words().record("cameUp", 1, 9_000_000, 2, 8, 0).array, atMs: 58_000 });
    expect(model.facts().lastDown?.backAfterMs).toBe(6_000);
  });

  it("forgets the reports of an earlier death, and waits for those that come after the Down", () => {
    const model = attached();
    const hear = (address: string, words: Words, atMs: number): void => model.on({ kind: "batch", address, words: words.array, atMs });
    const downOf = (incarnation: number, node: number, us: number): Words =>
      new Words().record("suspected", node, us, 2, node, incarnation, 0).record("wentDown", node, us, 2, 0b1010, 0, incarnation, 0);
    hear(A, downOf(7, 1, 2_000_000), 51_000);
    hear(C, downOf(7, 3, 2_100_000), 51_100);
    expect(model.facts().lastDown).toMatchObject({ atMs: 51_000, apartMs: 100, backAfterMs: null });
    hear(A, new Words().record("cameUp", 1, 8_000_000, 2, 8, 0), 57_000);
    // A second death, of which one member tells first; then another says late that the first was over.
    hear(A, downOf(8, 1, 9_000_000), 58_000);
    expect(model.facts().lastDown).toMatchObject({ node: 1, reporters: [0, 2], atMs: 58_000, apartMs: 0, backAfterMs: null });
    hear(C, new Words().record("cameUp", 3, 8_000_000, 2, 8, 0).record("suspected", 3, 9_300_000, 2, 3, 8, 0), 58_300);
    expect(model.facts().lastDown).toMatchObject({ atMs: 58_000, apartMs: 300, backAfterMs: null });
    // Who goes on suspecting it changes nothing, and who takes it Down last neither.
    hear(C, downOf(8, 3, 15_000_000), 64_000);
    expect(model.facts().lastDown).toMatchObject({ atMs: 58_000, apartMs: 300, backAfterMs: null });
    hear(A, new Words().record("cameUp", 1, 16_000_000, 2, 9, 0), 65_000);
    expect(model.facts().lastDown?.backAfterMs).toBe(7_000);
  });

  it("draws messages between places for as long as an eye needs, and no more than can be seen", () => {
    const model = attached();
    const words = new Words();
    for (let id = 1; id <= 1_000; id++) words.sent(id, 1, 3, 257, 2_000_000);
    model.on({ kind: "batch", address: A, words: words.array, atMs: 52_000 });
    expect(model.flights().length).toBe(300);
    expect(model.flights()[0]).toMatchObject({ from: 0, to: 2, glyph: "request", label: "flight.write", fate: "arrives" });
    model.hold(true);
    model.tick(53_000);
    expect(model.flights().length).toBe(300);
    model.hold(false);
    expect(model.flights().length).toBe(0);
  });

  it("does not believe one that hangs: others, who have sent pictures since, know better", () => {
    const model = attached();
    const down = { ...picture(), nodes: picture().nodes.map((node, place) => (place === 0 ? { ...node, state: "down" as const } : node)) };
    const post = (address: string, cluster: ReturnType<typeof picture>, atMs: number): void =>
      model.on({ kind: "pictures", address, pictures: { cluster, node: null, key: null }, key: null, atMs });
    post(A, picture(), 53_000);
    post(B, down, 53_500);
    expect(model.picture()?.nodes[0]?.state).toBe("up");
    post(B, down, 56_000);
    expect(model.picture()?.nodes[0]?.state).toBe("down");
    post(A, picture(), 56_500);
    expect(model.picture()?.nodes[0]?.state).toBe("up");
  });

  it("holds the whole picture still, and shows what is chosen meanwhile in its places", () => {
    const model = attached();
    const before = [model.picture(), model.facts().landed, model.facts().density, model.facts().wallMs];
    model.hold(true);
    const turned = picture();
    turned.nodes.reverse();
    model.on({ kind: "pictures", address: A, pictures: { cluster: turned, node: null, key: null }, key: null, atMs: 53_000 });
    model.tick(54_000);
    expect([model.picture(), model.facts().landed, model.facts().density, model.facts().wallMs]).toEqual(before);
    model.hold(false);
    expect(model.facts().wallMs).toBe(54_000);
    expect(model.picture()).not.toBe(before[0]);
  });

  it("draws a message with the request that it belongs to, and a copy for a fallback as a hint", () => {
    const model = attached();
    const words = new Words()
      .string(5, "cart")
      .record("requestStarted", 1, 2_000_000, 70, 0, 1, 0, 5, 2, 0, 0, 70, 0)
      .record("replicaAsked", 1, 2_000_000, 70, 0, 2, 0, 0)
      .record("replicaAsked", 1, 2_000_000, 70, 0, 3, 0, 3)
      .sent(7, 1, 2, MESSAGE.write, 2_000_000, 70)
      .sent(8, 1, 3, MESSAGE.write, 2_000_000, 70);
    model.on({ kind: "batch", address: A, words: words.array, atMs: 52_000 });
    expect(model.flights()).toMatchObject([
      { to: 1, label: "flight.write", request: 1 },
      { to: 2, label: "flight.hint", glyph: "hint", request: 1 },
    ]);
  });

  describe("of a request whose members' clocks are not known well", () => {
    const asks = (us: number): Words =>
      new Words()
        .string(5, "cart")
        .record("requestStarted", 1, us, 70, 0, 1, 0, 5, 2, 0, 0, 70, 0)
        .record("replicaAsked", 1, us, 70, 0, 2, 0, 0)
        .record("replicaAsked", 1, us, 70, 0, 3, 0, 0)
        .sent(7, 1, 2, MESSAGE.write, us, 70)
        .sent(8, 1, 3, MESSAGE.write, us, 70);
    const ends = (words: Words, us: number): Words =>
      words
        .record("replicaAnswered", 1, us, 70, 0, 2, 0)
        .record("replicaAnswered", 1, us, 70, 0, 3, 0)
        .record("requestEnded", 1, us, 70, 0, 0, 2, 0);
    const legsOf = (model: LiveModel): (number | null)[][] =>
      model.requests().flatMap(({ legs }) => legs.map(({ askedUs, reachedUs, syncedUs, answeredUs }) => [askedUs, reachedUs, syncedUs, answeredUs]));
    const areInOrder = (model: LiveModel): boolean =>
      legsOf(model).every((times) => times.every((us, index) => us !== null && us >= (times[index - 1] ?? 0)));
    const writes = (node: number, id: number, us: number): Words =>
      new Words()
        .received(id, 1, node, MESSAGE.write, us, 70)
        .record("logSynced", node, us + 400, 1, 0)
        .sent(id + 10, node, 1, MESSAGE.writeAnswer, us + 400, 70);

    it("keeps the order of what is known: asked, reached, synced, answered", () => {
      for (const driftUs of [-900, 0, 900]) {
        const model = attached();
        model.tick(50_000);
        // At 50 s all members had counted one, as far as the page knows.
        model.on({ kind: "batch", address: A, words: asks(1_500_000).array, atMs: 50_600 });
        for (const [address, node, id] of [[B, 2, 7], [C, 3, 8]] as const) {
          model.on({ kind: "batch", address, words: writes(node, id, 1_500_100 + driftUs).array, atMs: 50_600 });
        }
        model.on({ kind: "batch", address: A, words: ends(new Words(), 1_501_000).array, atMs: 50_601 });
        expect(legsOf(model).length).toBe(2);
        expect(areInOrder(model), `${driftUs} µs: ${JSON.stringify(legsOf(model))}`).toBe(true);
        expect(model.requests()).toMatchObject([{ outcome: "done" }]);
        expect(model.requests()).toBe(model.requests());
      }
    });

    it("loses nothing that arrived, whoever is heard first", () => {
      const model = attached();
      model.on({ kind: "batch", address: B, words: writes(2, 7, 1_500_100).array, atMs: 50_600 });
      model.on({ kind: "batch", address: A, words: ends(asks(1_500_000), 1_501_000).array, atMs: 50_601 });
      // One was heard before its request was; of the other only the answer was.
      expect(legsOf(model)).toMatchObject([[500_000, 500_100, null, 501_000], [500_000, 500_500, null, 501_000]]);
      expect(model.requests()).toMatchObject([{ outcome: "done" }]);
    });

    it("leaves one open that nobody has told of", () => {
      const model = attached();
      model.on({ kind: "batch", address: A, words: asks(1_500_000).array, atMs: 50_600 });
      expect(legsOf(model)).toMatchObject([[500_000, null, null, null], [500_000, null, null, null]]);
    });
  });

  it("keeps messages of many members and threads apart", () => {
    const model = attached();
    const words = new Words();
    // Numbers that differ in their highest bits only: threads 1 and 2, then members 32 and 33.
    for (const high of [1 << 9, 2 << 9, 32 << 16, 33 << 16]) {
      words.record("sent", 1, 2_000_000, 1, high, 1, 3, MESSAGE.read, 9, 70, 0);
    }
    model.on({ kind: "batch", address: A, words: words.array, atMs: 52_000 });
    expect(new Set(model.flights().map((flight) => flight.id)).size).toBe(4);
  });

  it("ends a request whose end was never told", () => {
    const model = attached();
    model.tick(50_000);
    const words = new Words().string(5, "cart").record("requestStarted", 1, 2_000_000, 70, 0, 1, 0, 5, 2, 0, 0, 70, 0);
    model.on({ kind: "batch", address: A, words: words.array, atMs: 51_000 });
    model.tick(60_500);
    expect(model.requests()).toMatchObject([{ outcome: "running" }]);
    model.tick(62_500);
    expect(model.requests()).toMatchObject([{ outcome: "unknown", endedUs: 12_500_000 }]);
  });

  it("lays what members say of a key together by name, and takes its picture by the key that was asked for", () => {
    const model = attached();
    const key = "k".repeat(100);
    const keyOf = (copies: { node: number; hintFor: number | null; siblings: number }[]) => ({
      key: key.slice(0, 64),
      slot: 1,
      partition: 0,
      walk: copies.map(({ node }) => ({ partition: 0, node, role: "owner" as const, place: 1 })),
      copies: copies.map((copy) => ({ ...copy, isCurrent: true, isSynced: true })),
      siblings: [],
      common: [],
      actors: [],
    });
    const post = (address: string, cluster: ReturnType<typeof picture>, keyPicture: ReturnType<typeof keyOf>) =>
      model.on({ kind: "pictures", address, pictures: { cluster, node: null, key: keyPicture }, key, atMs: 50_500 });
    post(A, picture(), keyOf([{ node: 0, hintFor: null, siblings: 1 }, { node: 1, hintFor: null, siblings: 9 }]));
    // The second counts places in another order, and knows its own copy best.
    const turned = picture();
    turned.nodes.reverse();
    post(B, turned, keyOf([{ node: 1, hintFor: null, siblings: 2 }, { node: 0, hintFor: 2, siblings: 3 }]));
    expect(model.keyPicture(key)?.copies.map(({ node, hintFor, siblings }) => [node, hintFor, siblings])).toEqual([
      [0, null, 1],
      [1, null, 2],
      [2, 0, 3],
    ]);
    expect(model.keyPicture(key.slice(0, 64))).toBe(null);
  });

  it("counts by second, and shows where keys landed", () => {
    const model = attached();
    const atMs = 50_000;
    for (const address of [A, B, C]) {
      model.on({ kind: "rates", address, rates: { sampled: 8, ms: 1_000, events: 900, writes: 100 }, atMs });
    }
    expect(model.facts()).toMatchObject({ eventsPerSecond: 2_700, sampledOneIn: 8, writesPerSecond: [100, 100, 100] });
    model.on({ kind: "batch", address: A, words: new Words().string(5, "foo").record("cellMerged", 1, 1_500_000, 37, 5, 1, 1).array, atMs });
    expect(model.facts().landed).toEqual([{ partition: 37, atMs }]);
    model.tick(52_500);
    expect([model.facts().landed, model.facts().density]).toEqual([[], [2_700, 2_700]]);
  });
});

describe("what comes over a network", () => {
  it("is looked at field by field", () => {
    const good: unknown = JSON.parse(JSON.stringify(picture()));
    expect(clusterPicture(good, "picture")).toEqual(picture());
    for (const change of [{ nodes: "x" }, { owners: [[-1]] }, { epoch: null }, { cuts: [[1]] }, { keyspace: {} }, { nodes: [{ state: "odd" }] }]) {
      expect(() => clusterPicture({ ...picture(), ...change }, "picture"), JSON.stringify(change)).toThrow(Malformed);
    }
  });
});
