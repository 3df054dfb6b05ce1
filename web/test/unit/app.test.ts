import { beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { WorkerLike } from "../../src/engine/client.ts";
import { Host } from "../../src/engine/host.ts";
import type { Command, Post } from "../../src/engine/protocol.ts";
import type { LiveParts, Socket, SocketEars } from "../../src/engine/live-parts.ts";
import { createApp } from "../../src/model/app.svelte.ts";
import { KEY_BYTES_MAX } from "../../src/engine/limits.ts";
import { FakeCluster, Refused } from "./fake-cluster.ts";
import { cluster as clusterOf, summary } from "./pictures.ts";

/** A worker in this very thread, around a host with a fake cluster; its clock stands still but for a first frame. */
class LocalWorker implements WorkerLike {
  readonly clusters: FakeCluster[] = [];
  readonly host: Host;
  isEnded = false;
  onmessage: ((event: MessageEvent<Post>) => void) | null = null;
  onerror: ((event: ErrorEvent) => void) | null = null;
  onmessageerror: ((event: MessageEvent) => void) | null = null;

  constructor() {
    this.host = new Host({
      create: (options) => {
        const made = new FakeCluster(options);
        this.clusters.push(made);
        return Promise.resolve(made);
      },
      post: (post) => this.onmessage?.(new MessageEvent("message", { data: post })),
      wallMs: () => 0,
      later: (_, then) => {
        if (!this.isEnded) setTimeout(then, 0);
      },
    });
  }
  postMessage(command: Command): void {
    void this.host.handle(command);
  }
  terminate(): void {
    this.onmessage = null;
    this.isEnded = true;
  }
}

/** A network that nobody is on. */
function openNoSocket(): Socket {
  throw new Error("no network here");
}

async function page(
  address: { hash?: string; search?: string } = {},
  copyFails = false,
  servedBy: () => Promise<string | null> = () => Promise.resolve(null),
  openSocket: LiveParts["openSocket"] = openNoSocket,
) {
  const worker = new LocalWorker();
  const shown: string[] = [];
  const copied: string[] = [];
  const app = createApp({
    engine: { hasWasm: true, spawn: () => worker, probe: () => Promise.resolve("served" as const) },
    live: {
      openSocket,
      fetchJson: () => Promise.reject(new Error("no network here")),
      wallMs: () => 0,
      later: () => () => undefined,
      isSecure: false,
    },
    address: { hash: "", search: "", ...address },
    showLink: (fragment) => {
      shown.push(fragment);
      return `http://page/${fragment}`;
    },
    language: () => "ko",
    copy: (text) => (copyFails ? Promise.reject(new Error("not allowed")) : Promise.resolve(void copied.push(text))),
    servingNode: servedBy,
  });
  onTestFinished(() => app.close());
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 60; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
  };
  await settle();
  // Links are unpacked by streams, which take turns of their own on a busy machine.
  if (address.hash !== undefined) await vi.waitFor(() => expect(app.scene.isLoading).toBe(false), { timeout: 10_000 });
  await settle();
  const cluster = (): FakeCluster => {
    const last = worker.clusters.at(-1);
    if (last === undefined) throw new Error("no world was opened");
    return last;
  };
  return { app, scene: app.scene, actions: app.actions, worker, cluster, settle, shown, copied };
}

// What the page loads when it is needed is there at once in these tests.
beforeAll(() => Promise.all([import("../../src/engine/live.ts"), import("../../src/model/live.ts")]));

describe("a page", () => {
  it("that is told nothing begins with five nodes, playing, and a composer that is filled in", async () => {
    const { scene, cluster } = await page();
    expect(cluster().options()).toMatchObject({ seed: "7", nodes: 5, n: 3, r: 2, w: 2, resolve: "siblings" });
    expect(scene).toMatchObject({ mode: "simulated", isLoading: false, isPlaying: true, speed: 1, seed: "7", trouble: null });
    expect(scene.picture?.nodes.length).toBe(5);
    expect(scene.draft).toMatchObject({ verb: "put", through: 0 });
    expect(scene.draft.key.length > 0 && scene.draft.value.length > 0).toBe(true);
    expect(scene.selectedKey).toBe(null);
  });

  it("sends what the composer holds, selects its key and follows the request", async () => {
    const { app, scene, actions, cluster, settle } = await page();
    actions.pause();
    actions.setDraft({ key: "cart", value: "eggs", through: 3 });
    actions.send();
    expect([scene.selectedKey, scene.followed]).toEqual(["cart", 1]);
    expect(scene.requests).toMatchObject([{ number: 1, verb: "put", key: "cart", value: "eggs", entry: 3, outcome: "running" }]);
    const news: string[] = [];
    app.onNews((one) => news.push(one.kind));
    const until = scene.nowUs + 10_000;
    expect(await app.run({ until })).toBe(true);
    await settle();
    expect(scene.requests).toMatchObject([{ outcome: "done" }]);
    expect(news).toContain("requestEnded");
    expect([scene.nowUs, cluster().now]).toEqual([until, until]);
    expect(scene.keyPicture?.key).toBe("cart");
  });

  it("refuses a key or value beyond its limit in its field, and sends nothing", async () => {
    const { scene, actions, cluster } = await page();
    for (const [draft, field, code] of [
      [{ key: "" }, "key", "emptyKey"],
      [{ key: "k".repeat(KEY_BYTES_MAX + 1) }, "key", "keyTooLong"],
      [{ key: "키".repeat(30_000) }, "key", "keyTooLong"],
      [{ key: "k", value: "v".repeat((16 << 20) + 1) }, "value", "valueTooLong"],
    ] as const) {
      actions.setDraft(draft);
      actions.send();
      expect(scene.fieldTrouble).toMatchObject({ field, trouble: { code } });
      expect(cluster().done).toEqual([]);
    }
    expect(scene.fieldTrouble?.trouble.holes).toEqual({ bytes: 16_777_217, max: 16_777_216 });
    actions.setDraft({ value: "v" });
    expect(scene.fieldTrouble).toBe(null);
    actions.send();
    expect(cluster().done.length).toBe(1);
  });

  it("turns clicks into faults by what is so", async () => {
    const { actions, cluster } = await page();
    actions.crashOrRevive(2);
    actions.cutOrHeal(1);
    actions.cutHalves([0, 1], [2, 3, 4]);
    actions.slow(3, 1e9);
    actions.loss(3, -5);
    actions.healAll();
    expect(cluster().done.map((text) => text.replaceAll('"', ""))).toEqual([
      "[crash,2]",
      "[cut,[1],[0,2,3,4]]",
      "[cut,[0,1],[2,3,4]]",
      "[slow,3,60000]",
      "[loss,3,0]",
      "[heal,null,null]",
    ]);
  });

  it("takes R and W for its next requests, and another world for another N", async () => {
    const { scene, actions, worker, cluster, settle } = await page();
    actions.setKeyspace({ w: 3, r: 1 });
    expect(scene.picture?.keyspace).toMatchObject({ n: 3, r: 1, w: 3 });
    actions.send();
    expect(cluster().done[0]).toContain('"w":3');
    actions.setKeyspace({ n: 2 });
    await settle();
    expect(worker.clusters.length).toBe(2);
    expect(cluster().options()).toMatchObject({ seed: "7", nodes: 5, n: 2, r: 1, w: 2, resolve: "siblings" });
    // W had to go down with N, and that is said.
    expect(scene.trouble).toEqual({ code: "lowered", holes: { n: 2, r: 1, w: 2 } });
  });

  it("refuses R and W above N and N above the nodes, and changes nothing", async () => {
    const { scene, actions, worker, cluster } = await page();
    for (const [wish, trouble] of [
      [{ w: 9 }, { code: "aboveN", holes: { part: "W", value: 9, n: 3 } }],
      [{ r: 4 }, { code: "aboveN", holes: { part: "R", value: 4, n: 3 } }],
      [{ r: 0 }, { code: "aboveN", holes: { part: "R", value: 0, n: 3 } }],
      [{ n: 6 }, { code: "notPossible", reason: { code: "range", holes: { field: "N", least: 1, most: 5 } } }],
    ] as const) {
      actions.setKeyspace(wish);
      expect(scene.trouble).toMatchObject(trouble);
      expect(scene.picture?.keyspace).toMatchObject({ n: 3, r: 2, w: 2 });
    }
    actions.setDraft({ w: 9 });
    actions.send();
    expect(scene.trouble).toMatchObject({ code: "aboveN", holes: { part: "W", value: 9, n: 3 } });
    expect([worker.clusters.length, cluster().done]).toEqual([1, []]);
    actions.setDraft({ w: 3 });
    actions.send();
    expect([scene.trouble, cluster().done.length]).toEqual([null, 1]);
  });

  it("asks for no quorum that a link has and the run that its seed draws cannot have", async () => {
    const { encodeLink } = await import("../../src/model/link.ts");
    const options = { seed: "7", nodes: 5, n: 3, r: 2, w: 2, resolve: "siblings", partitions: 64, memtableBytes: 65_536, drawn: true } as const;
    const reproduction = { options, script: "", events: 5, digest: "5".padStart(32, "0") };
    const made = await encodeLink(reproduction, { key: null, node: null, quorum: { r: 9, w: 9 }, language: null, view: null });
    const { scene } = await page({ hash: made.ok ? made.value : "" });
    expect(scene.trouble).toMatchObject({ code: "aboveN", holes: { part: "R", value: 9, n: 3 } });
    expect(scene.picture?.keyspace).toMatchObject({ n: 3, r: 2, w: 2 });
  });

  it("copies a link that leads another page to the same trace", async () => {
    const first = await page();
    first.actions.pause();
    first.actions.selectNode(4);
    first.actions.selectKey("cart");
    await first.app.run({ events: 2_345 });
    await first.settle();
    expect(await first.actions.copyLink()).toBe("copied");
    const hash = first.shown[0] ?? "";
    expect(first.copied).toEqual([`http://page/${hash}`]);
    const second = await page({ hash });
    expect(second.app.language).toBe("ko");
    expect(second.scene).toMatchObject({ events: 2_345, isPlaying: false, trouble: null, selectedNode: 4, digest: first.scene.digest });
    expect(second.scene).toMatchObject({ selectedKey: "cart", keyPicture: { key: "cart" }, nodePicture: { name: "n4" } });
  });

  it("says so if the link came from a run that it cannot make again", async () => {
    const first = await page();
    first.actions.pause();
    await first.app.run({ events: 2_345 });
    const found = await first.app.reproduction();
    if (found === null) throw new Error("no reproduction");
    const { encodeLink } = await import("../../src/model/link.ts");
    const made = await encodeLink({ ...found, digest: "f".repeat(32) }, { key: null, node: null, quorum: null, language: null, view: null });
    const second = await page({ hash: made.ok ? made.value : "" });
    expect(second.scene.trouble).toMatchObject({ code: "otherRun", reason: { code: "otherTrace", holes: { expected: "f".repeat(32) } } });
    expect(second.scene.picture).not.toBe(null);
  });

  it("has the link in the address bar when it may not copy", async () => {
    const { actions, shown } = await page({}, true);
    expect(await actions.copyLink()).toBe("shown");
    expect(shown.length).toBe(1);
  });

  it("stays usable after a bad link, seed or panic", async () => {
    const bad = await page({ hash: "#v1.!!!" });
    expect(bad.scene).toMatchObject({ trouble: { code: "badLink" }, isLoading: false, picture: null });
    bad.actions.startAgain("seven");
    expect(bad.scene.trouble).toMatchObject({ code: "badSeed", holes: { seed: "seven" } });
    bad.actions.startAgain("8");
    await bad.settle();
    expect(bad.scene).toMatchObject({ trouble: null, seed: "8" });

    const { scene, actions, cluster, settle } = await page();
    cluster().failNext = new Refused("PANICKED", "unreachable");
    actions.crashOrRevive(1);
    await settle();
    expect(scene).toMatchObject({ trouble: { code: "panicked" }, isPlaying: false });
    expect(scene.picture).not.toBe(null);
    expect(await actions.copyLink()).toBe("copied");
    actions.startAgain();
    await settle();
    expect(scene).toMatchObject({ trouble: null, isLoading: false, isPlaying: true });
  });

  it("shows the picture of a key that is longer than its picture's text", async () => {
    const { scene, actions, settle } = await page();
    const key = "k".repeat(100);
    actions.selectKey(key);
    await settle();
    expect(scene.keyPicture?.key).toBe(key.slice(0, 64));
    actions.selectKey("other");
    expect(scene.keyPicture?.key).not.toBe(key.slice(0, 64));
  });

  it("does what its user chose last, whatever answers late", async () => {
    const answers: ((address: string | null) => void)[] = [];
    const { app, scene, actions, worker, settle } = await page({}, false, () => new Promise((resolve) => answers.push(resolve)));
    actions.startAgain("8");
    answers.shift()?.("127.0.0.1:9801");
    await settle();
    expect(scene).toMatchObject({ mode: "simulated", seed: "8" });
    actions.setMode("live");
    actions.setMode("simulated");
    answers.shift()?.("127.0.0.1:9801");
    await settle();
    expect(scene).toMatchObject({ mode: "simulated", trouble: null });
    actions.setMode("live");
    app.close();
    answers.shift()?.(null);
    await settle();
    expect(scene.mode).toBe("simulated");
    expect(worker.clusters.length).toBe(1);
  });

  it("comes back from a live cluster to the very moment that it left", async () => {
    const { app, scene, actions, worker, cluster, settle } = await page();
    actions.setDraft({ key: "cart", value: "eggs" });
    actions.send();
    await app.run({ until: scene.nowUs + 10_000 });
    actions.selectNode(2);
    await settle();
    expect(scene.isPlaying).toBe(true);
    actions.setMode("live", "127.0.0.1:9801");
    await settle();
    expect(scene).toMatchObject({ mode: "live", requests: [], selectedKey: null, trouble: { code: "unreachable" } });
    const [now, digest] = [cluster().now, cluster().digest()];
    await settle();
    actions.setMode("simulated");
    await settle();
    expect(scene).toMatchObject({ mode: "simulated", isPlaying: false, nowUs: now, digest, trouble: null, live: null, selectedKey: "cart", selectedNode: 2 });
    expect(scene.requests).toMatchObject([{ key: "cart", value: "eggs", outcome: "done" }]);
    expect([worker.clusters.length, cluster().isClosed, cluster().now]).toEqual([1, false, now]);
    actions.play();
    await settle();
    expect(scene.nowUs).toBeGreaterThan(now);
  });

  it("steps back, forward and back to the same, and keeps its world if that is interrupted", async () => {
    const { app, scene, actions, cluster, settle } = await page();
    actions.pause();
    await app.run({ events: 2_000 });
    await settle();
    const { digest } = scene;
    actions.stepBack();
    await settle();
    expect([scene.events, scene.running, scene.isPlaying]).toEqual([1_999, null, false]);
    expect(scene.digest).not.toBe(digest);
    actions.step();
    await settle();
    expect([scene.events, scene.digest]).toEqual([2_000, digest]);
    // Whoever holds the key down goes back, and does not begin anew each time.
    for (let count = 0; count < 5; count++) actions.stepBack();
    await settle();
    expect([scene.events, scene.running]).toEqual([1_999, null]);
    actions.step();
    await settle();
    const before = cluster();
    actions.stepBack();
    actions.halt();
    await settle();
    expect([scene.events, scene.running, before.isClosed]).toEqual([2_000, null, false]);
  });

  it("runs to the end of the script with its progress in sight, and stops on the way when it is told to", async () => {
    const { scene, actions, cluster, settle } = await page();
    actions.runToEnd();
    expect(scene.running).toEqual({ goal: "end", part: 0 });
    actions.halt();
    await settle();
    expect([scene.running, scene.isPlaying, cluster().now < 1_000_000]).toEqual([null, false, false]);
    const stopped = cluster().now;
    await settle();
    expect(cluster().now).toBe(stopped);
    actions.runSeed();
    await settle();
    expect([cluster().options().seed, cluster().now, scene.running, scene.isPlaying]).toEqual(["7", 1_000_000, null, false]);
  });

  it("opens the run that comes with it where no live cluster is", async () => {
    const { scene, actions, cluster, settle } = await page({ search: "?live=127.0.0.1:9801" });
    expect(scene.trouble).toMatchObject({ code: "unreachable" });
    actions.openRecorded();
    await settle();
    expect(scene).toMatchObject({ mode: "simulated", isPlaying: true, trouble: null, selectedKey: "cart:42" });
    expect(cluster().options()).toMatchObject({ seed: "7", nodes: 5 });
  });

  it("keeps telling what is wrong with an address while it is attached to another", async () => {
    const { scene, actions, settle } = await page({ search: "?live=127.0.0.1:9801" });
    // Nobody was ever there: that is no lost connection.
    expect(scene).toMatchObject({ mode: "live", isLoading: false, live: { status: "unreachable" }, trouble: { code: "unreachable" } });
    actions.setMode("live", "nowhere");
    await new Promise((resolve) => setTimeout(resolve, 150));
    await settle();
    expect(scene.trouble).toMatchObject({ code: "badLink" });
    expect(await actions.copyLink()).toBe("none");
    actions.setMode("live", "127.0.0.1:9802");
    await vi.waitFor(() => expect(scene.trouble).toMatchObject({ code: "unreachable", holes: { address: "127.0.0.1:9802" } }));
  });

  it("comes back to a live cluster by any member that it knew", async () => {
    const [A, B, C] = ["127.0.0.1:9801", "127.0.0.1:9802", "127.0.0.1:9803"] as const;
    const nodes = [A, B, C].map((admin, index) => summary(`n${index + 1}`, { member: index + 1, admin, listen: admin }));
    const opened: { address: string; ears: SocketEars }[] = [];
    const openSocket = (url: string, ears: SocketEars): Socket => {
      opened.push({ address: new URL(url).host, ears });
      return { close: () => undefined };
    };
    const answer = (address: string, node: string): void => {
      const to = opened.filter((one) => one.address === address).at(-1);
      to?.ears.onMessage(JSON.stringify({ node, me: 1, topology: {}, picture: clusterOf(3, { nodes }) }));
    };
    const { scene, actions } = await page({}, false, () => Promise.resolve(A), openSocket);
    answer(A, "n1");
    answer(B, "n2");
    answer(C, "n3");
    const sees = (what: object): Promise<void> => vi.waitFor(() => expect(scene).toMatchObject(what), { timeout: 10_000 });
    await sees({ mode: "live", live: { status: "attached", address: A } });
    // The one that served the page is gone: another is named, and the way back leads there.
    opened[0]?.ears.onClose();
    await sees({ live: { status: "attached", address: B } });
    actions.setMode("simulated");
    opened.length = 0;
    actions.setMode("live");
    await vi.waitFor(() => expect(opened.map((one) => one.address)).toEqual([B, C, A]), { timeout: 10_000 });
    opened[0]?.ears.onClose();
    opened[2]?.ears.onClose();
    await sees({ trouble: null, live: { status: "attaching" } });
    answer(C, "n3");
    await sees({ live: { status: "attached", address: C } });
    // An address that is named is another cluster.
    opened.length = 0;
    actions.setMode("live", "127.0.0.1:9901");
    await vi.waitFor(() => expect(opened.map((one) => one.address)).toEqual(["127.0.0.1:9901"]));
  });

  it("says why a key cannot be looked up in a live cluster, and keeps the one that is", async () => {
    const { scene, actions } = await page({ search: "?live=127.0.0.1:9801" });
    actions.selectKey("cart");
    for (const [key, code] of [[null, "emptyKey"], ["", "emptyKey"], ["k".repeat(KEY_BYTES_MAX + 1), "keyTooLong"]] as const) {
      actions.selectKey(key);
      expect(scene).toMatchObject({ selectedKey: "cart", trouble: { code }, fieldTrouble: { field: "key", trouble: { code } } });
    }
    actions.selectKey("milk");
    expect(scene).toMatchObject({ selectedKey: "milk", trouble: { code: "unreachable" }, fieldTrouble: null });
    actions.selectKey("");
    actions.setMode("simulated");
    expect(scene).toMatchObject({ trouble: null, fieldTrouble: null });
  });

  it("draws from the same objects as long as nothing has changed", async () => {
    const { scene, actions } = await page();
    actions.pause();
    const { requests, marks, picture } = scene;
    actions.setView("request");
    expect([scene.requests === requests, scene.marks === marks, scene.picture === picture, scene.view]).toEqual([true, true, true, "request"]);
  });
});
