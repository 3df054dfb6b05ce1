/** What a strict project writes with the package, and what its types must refuse. Compiled, not run. */
import { Cluster, FLIGHT_FIELDS, KvorumError, MESSAGE_KINDS, Store, load } from "kvorum";
import type { Bytes, ClusterPicture, EventBatch, KeyPicture, NodePicture, ReadResult, Verdict } from "kvorum";

export async function store(): Promise<Bytes | undefined> {
  await load({ wasm: new URL("https://example.org/kvorum.wasm") });
  await using db = await Store.open({ storage: "memory", memtableBytes: 1 << 20 });
  await db.put("milk", new Uint8Array([2]));
  await db.batch([
    { type: "put", key: "a", value: "1" },
    { type: "del", key: "b" },
  ]);
  const [first] = await db.getMany(["a", "b"]);
  for await (const [key, value] of db.iterator({ prefix: "a", reverse: true, limit: 10 })) {
    const sizes: number = key.length + value.length;
    if (sizes === 0) break;
  }
  // @ts-expect-error: there is no such storage.
  await Store.open({ storage: "tape" });
  // @ts-expect-error: a put has a value.
  await db.batch([{ type: "put", key: "a" }]);
  // @ts-expect-error: a limit that is `undefined` is left out instead.
  db.iterator({ limit: undefined });
  // @ts-expect-error: stores are opened.
  new Store();
  return first;
}

export async function cluster(): Promise<string> {
  const world = await Cluster.create({ seed: 7n, nodes: 5, resolve: "siblings" });
  const end = world.subscribe(({ words }: EventBatch) => void words.length);
  const read: ReadResult = await world.client("n0").get("cart", { r: 3 });
  const written = await world.client(1).put("cart", "milk", { context: read.context, ttlMs: 1_000 });
  const acks: number = written.acks + written.hinted;
  const later = world.client(1).del("cart", { run: false });
  world.fault.crash("n2", { power: true });
  world.fault.cut(["n0"], [1, 2]);
  world.fault.heal();
  const { reached } = world.run({ until: "end", budgetMs: 8 });
  world.run({ events: 10 });
  await later;
  const whole: ClusterPicture = world.inspect();
  const node: NodePicture = world.inspect({ node: 0, key: "cart" });
  const key: KeyPicture = world.inspect({ key: "cart" });
  const verdict: Verdict = world.verdicts();
  const kinds = Array.from({ length: world.flights().length / FLIGHT_FIELDS }, (_, at) => MESSAGE_KINDS[at]);
  end();
  // @ts-expect-error: a goal is a time, the end or a count.
  world.run({ until: "noon" });
  // @ts-expect-error: nodes are names or places.
  world.client({ name: "n0" });
  // @ts-expect-error: both say how far.
  world.run({ until: 1, events: 1 });
  return [acks, reached, whole.nodes[0]?.state, node.name, key.slot, verdict.isFinal, kinds[0], world.digest()].join();
}

export function told(error: unknown): string {
  if (!(error instanceof KvorumError)) throw error;
  switch (error.code) {
    case "IN_DOUBT":
      return "nobody knows";
    case "NOT_DONE":
      return error.retryable ? "try again" : `refused: ${error.refusal ?? "no word"}`;
    default:
      return error.message;
  }
}
