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
/** The code of what is wrong with a link, and the part that it is about. */
const what = async (hash: string): Promise<string> => {
  const found = await start(hash);
  if (found.kind !== "trouble" || found.trouble.code !== "badLink") return `not: ${found.kind}`;
  const { reason } = found.trouble;
  return `${reason?.code ?? "no reason"} ${reason?.holes["field"] ?? ""}`.trim();
};
const encode = async (...given: Parameters<typeof encodeLink>): Promise<string> => {
  const made = await encodeLink(...given);
  if (!made.ok) throw new Error(made.reason.code);
  return made.value;
};

describe("a link", () => {
  it("leads back to what it was made of", async () => {
    const hash = await encode(REPRODUCTION, SHOWN);
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
    const found = await start(await encode(drawn, { key: null, node: null, quorum: null, language: null, view: null }));
    expect(found).toMatchObject({ kind: "world", link: { world: { seed: "18446744073709551615" }, key: null } });
    expect(found.kind === "world" && Object.keys(found.link.world)).toEqual(["seed"]);
  });

  it("that is damaged says so", async () => {
    const hash = await encode(REPRODUCTION, SHOWN);
    expect(await what(hash.slice(0, -9))).toMatch(/damaged|characters/);
    expect(await what(`${hash}!`)).toBe("characters");
    expect(await what("#v1.")).toBe("characters");
    expect(await what("#v2.abcd")).toBe("laterVersion");
    expect(await what("#hello")).toBe("prefix");
    expect(await what(`#v1.${"A".repeat(70_000)}`)).toBe("lengthInCharacters");
    const changed = hash.slice(0, 30) + (hash[30] === "A" ? "B" : "A") + hash.slice(31);
    expect((await start(changed)).kind).toMatch(/trouble|world/);
  });

  it("that could not be read back is not made, and what is at a limit is", async () => {
    const refused = async (part: Partial<Reproduction>, shown: Partial<typeof SHOWN> | { key: string } = {}): Promise<string> => {
      const made = await encodeLink({ ...REPRODUCTION, ...part }, { ...SHOWN, ...shown });
      return made.ok ? "" : made.reason.code;
    };
    // Letters that deflate cannot fold, from a generator of Lehmer's.
    let state = 1;
    const noise = Array.from({ length: 200_000 }, () => String.fromCharCode(33 + ((state = (state * 48_271) % 2_147_483_647) % 90))).join("");
    expect(await refused({ script: noise })).toBe("lengthInCharacters");
    expect(await refused({ script: " ".repeat((512 << 10) + 1) })).toBe("lengthInBytes");
    expect(await refused({}, { key: "k".repeat(65_536) })).toBe("lengthInBytes");
    expect(await refused({}, { key: "k".repeat(65_535) })).toBe("");
  });

  it("that unfolds without end is left", async () => {
    const bomb = deflateRawSync(Buffer.alloc(8 << 20, 0x20)).toString("base64url");
    expect(bomb.length).toBeLessThan(20_000);
    expect(await what(`#v1.${bomb}`)).toBe("unfolds");
  });

  it("with wrong content names the field", async () => {
    const cases: [unknown, string][] = [
      [[1], "object"],
      [{}, "seed seed"],
      [{ seed: 7 }, "seed seed"],
      [{ seed: "-1" }, "seed seed"],
      [{ seed: "18446744073709551616" }, "seed seed"],
      [{ seed: "7", options: [] }, "object options"],
      [{ seed: "7", options: { nodes: 51 } }, "range nodes"],
      [{ seed: "7", options: { n: "3" } }, "range n"],
      [{ seed: "7", options: { n: 3, r: 9, w: 2 } }, "range r"],
      [{ seed: "7", options: { w: 4 } }, "range w"],
      [{ seed: "7", options: { nodes: 2, n: 3 } }, "range n"],
      [{ seed: "7", options: { partitions: 100 } }, "powerOfTwo partitions"],
      [{ seed: "7", options: { memtableBytes: 1 } }, "range memtableBytes"],
      [{ seed: "7", options: { n: 2 }, quorum: { r: 1, w: 3 } }, "range quorum.w"],
      [{ seed: "7", options: { resolve: "magic" } }, "choice resolve"],
      [{ seed: "7", script: 5 }, "text script"],
      [{ seed: "7", events: -1 }, "range events"],
      [{ seed: "7", events: 0.5 }, "range events"],
      [{ seed: "7", digest: "xyz" }, "digest digest"],
      [{ seed: "7", node: 50 }, "range node"],
      // One unit of UTF-16, three bytes of UTF-8.
      [{ seed: "7", key: "키".repeat(30_000) }, "lengthInBytes key"],
      [{ seed: "7", quorum: { r: 0, w: 1 } }, "quorum quorum"],
      [{ seed: "7", language: "fr" }, "choice language"],
      [{ seed: "7", view: "inside" }, "choice view"],
    ];
    for (const [value, part] of cases) expect(await what(`#v1.${packed(value)}`), JSON.stringify(value)).toBe(part);
    expect(await what(`#v1.${deflateRawSync("{oops").toString("base64url")}`)).toBe("json");
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
