import { deflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { Reproduction } from "../../src/engine/protocol.ts";
import { type Start, decodeLink, encodeLink, parseSeed, startOf } from "../../src/model/link.ts";

const REPRODUCTION: Reproduction = {
  options: {
    seed: "18446744073709551615",
    nodes: 5,
    n: 3,
    r: 2,
    w: 2,
    resolve: "siblings",
    partitions: 64,
    memtableBytes: 65_536,
    drawn: false,
  },
  script: "at 0s start n0\nat 1.5s stop n2 kill\n",
  events: 4_812,
  digest: "0123456789abcdef0123456789abcdef",
};
const SHOWN = { key: "장바구니", node: 4, quorum: { r: 1, w: 3 }, language: "ko", view: "request" } as const;

const packed = (value: unknown): string => deflateRawSync(JSON.stringify(value)).toString("base64url");
const start = (hash: string, search = ""): Promise<Start> => startOf({ hash, search });
const what = async (hash: string): Promise<string> => {
  const found = await start(hash);
  return found.kind === "trouble" && found.trouble.code === "badLink" ? (found.trouble.holes["what"] ?? "") : `not: ${found.kind}`;
};

describe("a link", () => {
  it("leads back to what it was made of", async () => {
    const hash = await encodeLink(REPRODUCTION, SHOWN);
    expect(hash).toMatch(/^#v1\.[A-Za-z0-9_-]+$/);
    const found = await start(hash);
    const { seed, nodes, n, r, w, resolve, partitions, memtableBytes } = REPRODUCTION.options;
    expect(found).toEqual({
      kind: "world",
      link: {
        world: { seed, nodes, n, r, w, resolve, partitions, memtableBytes },
        script: REPRODUCTION.script,
        events: 4_812,
        digest: REPRODUCTION.digest,
        ...SHOWN,
      },
    });
  });

  it("of drawn options names the seed alone, which draws them again", async () => {
    const drawn = { ...REPRODUCTION, options: { ...REPRODUCTION.options, drawn: true } };
    const found = await start(await encodeLink(drawn, { key: null, node: null, quorum: null, language: null, view: null }));
    expect(found).toMatchObject({ kind: "world", link: { world: { seed: "18446744073709551615" }, key: null } });
    expect(found.kind === "world" && Object.keys(found.link.world)).toEqual(["seed"]);
  });

  it("that is damaged says so", async () => {
    const hash = await encodeLink(REPRODUCTION, SHOWN);
    expect(await what(hash.slice(0, -9))).toMatch(/damaged|end is missing/);
    expect(await what(`${hash}!`)).toContain("characters");
    expect(await what("#v1.")).toContain("characters");
    expect(await what("#v2.abcd")).toContain("later version");
    expect(await what("#hello")).toContain("#v1.");
    expect(await what(`#v1.${"A".repeat(70_000)}`)).toContain("longer");
    const changed = hash.slice(0, 30) + (hash[30] === "A" ? "B" : "A") + hash.slice(31);
    expect((await start(changed)).kind).toMatch(/trouble|world/);
  });

  it("that unfolds without end is left", async () => {
    const bomb = deflateRawSync(Buffer.alloc(8 << 20, 0x20)).toString("base64url");
    expect(bomb.length).toBeLessThan(20_000);
    expect(await what(`#v1.${bomb}`)).toContain("megabyte");
  });

  it("with wrong content names the field", async () => {
    const cases: [unknown, string][] = [
      [[1], "no object"],
      [{}, "seed"],
      [{ seed: 7 }, "seed"],
      [{ seed: "-1" }, "seed"],
      [{ seed: "18446744073709551616" }, "seed"],
      [{ seed: "7", options: [] }, "options"],
      [{ seed: "7", options: { nodes: 51 } }, "nodes"],
      [{ seed: "7", options: { n: "3" } }, "n is"],
      [{ seed: "7", options: { resolve: "magic" } }, "resolve"],
      [{ seed: "7", script: 5 }, "script"],
      [{ seed: "7", events: -1 }, "events"],
      [{ seed: "7", events: 0.5 }, "events"],
      [{ seed: "7", digest: "xyz" }, "digest"],
      [{ seed: "7", node: 50 }, "node"],
      [{ seed: "7", quorum: { r: 0, w: 1 } }, "quorum"],
      [{ seed: "7", language: "fr" }, "language"],
      [{ seed: "7", view: "inside" }, "view"],
    ];
    for (const [value, part] of cases) expect(await what(`#v1.${packed(value)}`), JSON.stringify(value)).toContain(part);
    expect(await what(`#v1.${deflateRawSync("{oops").toString("base64url")}`)).toContain("JSON");
    expect((await decodeLink(packed({ seed: "7" }))).ok).toBe(true);
  });
});

describe("an address", () => {
  it("may name a seed, a live node or nothing", async () => {
    expect(await start("")).toEqual({ kind: "default" });
    expect(await start("", "?seed=0x1F")).toMatchObject({ kind: "world", link: { world: { seed: "31" }, script: null } });
    expect(await start("", "?seed=seven")).toMatchObject({ kind: "trouble", trouble: { code: "badSeed", holes: { seed: "seven" } } });
    expect(await start("", "?live=127.0.0.1:9801")).toEqual({ kind: "live", address: "127.0.0.1:9801" });
    expect(await start("", "?live=[::1]:9801")).toEqual({ kind: "live", address: "[::1]:9801" });
    for (const bad of ["nowhere", "a:0", "a:70000", "evil/path:80", "a b:80", "user@host:80"]) {
      expect((await start("", `?live=${encodeURIComponent(bad)}`)).kind, bad).toBe("trouble");
    }
  });

  it("takes seeds of 64 bits and no more", () => {
    expect(parseSeed("0")).toEqual({ ok: true, value: "0" });
    expect(parseSeed("18446744073709551615").ok).toBe(true);
    expect(parseSeed("18446744073709551616").ok).toBe(false);
    expect(parseSeed("1.5").ok || parseSeed("").ok || parseSeed(7).ok || parseSeed("1e3").ok).toBe(false);
  });
});
