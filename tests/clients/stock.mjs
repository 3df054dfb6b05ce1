// node-redis and ioredis, unchanged, against a Kvorum cluster: node stock.mjs PORT PORT PORT
import assert from "node:assert/strict";
import Redis from "ioredis";
import { createClient, createCluster } from "redis";

const ports = process.argv.slice(2).map(Number);
assert.ok(ports.length > 0, "give the ports of the nodes");

async function nodeRedis() {
  const client = createClient({ url: `redis://127.0.0.1:${ports[0]}` });
  const problems = [];
  client.on("error", (error) => problems.push(error));
  await client.connect();
  await client.set("js:a", "1");
  assert.equal(await client.get("js:a"), "1");
  await client.set("js:b", "2", { EX: 100 });
  assert.ok((await client.ttl("js:b")) > 90);
  await client.mSet({ "js:c": "3", "js:d": "4" });
  assert.deepEqual(await client.mGet(["js:c", "js:d", "js:none"]), ["3", "4", null]);
  assert.equal(await client.del(["js:c", "js:none"]), 1);
  assert.equal(await client.exists("js:c"), 0);
  const found = [];
  for await (const page of client.scanIterator({ MATCH: "js:*", COUNT: 50 })) {
    found.push(...(Array.isArray(page) ? page : [page]));
  }
  assert.deepEqual([...new Set(found)].sort(), ["js:a", "js:b", "js:d"]);
  await assert.rejects(client.incr("js:n"), /NOAPSAFE/);
  await client.close();
  assert.deepEqual(problems, []);
}

async function nodeRedisCluster() {
  const cluster = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${ports[0]}` }] });
  await cluster.connect();
  for (let i = 0; i < 100; i += 1) await cluster.set(`jsc:${i}`, String(i));
  for (let i = 0; i < 100; i += 1) assert.equal(await cluster.get(`jsc:${i}`), String(i));
  await cluster.close();
}

async function ioredis() {
  const client = new Redis({ port: ports.at(-1), host: "127.0.0.1" });
  const problems = [];
  client.on("error", (error) => problems.push(error));
  await client.set("io:a", "x", "PX", 100_000);
  assert.equal(await client.get("io:a"), "x");
  assert.ok((await client.pttl("io:a")) > 90_000);
  const replies = await client.pipeline().set("io:b", "1").get("io:b").del("io:b").get("io:b").exec();
  assert.deepEqual(replies, [[null, "OK"], [null, "1"], [null, 1], [null, null]]);
  await client.quit();
  assert.deepEqual(problems, []);
}

async function ioredisCluster() {
  const cluster = new Redis.Cluster([{ host: "127.0.0.1", port: ports[0] }]);
  await Promise.all(Array.from({ length: 100 }, (_, i) => cluster.set(`ioc:${i}`, String(i))));
  const values = await Promise.all(Array.from({ length: 100 }, (_, i) => cluster.get(`ioc:${i}`)));
  assert.deepEqual(values, Array.from({ length: 100 }, (_, i) => String(i)));
  await cluster.quit();
}

for (const check of [nodeRedis, nodeRedisCluster, ioredis, ioredisCluster]) {
  await check();
  console.log(`${check.name}: ok`);
}
process.exit(0);
