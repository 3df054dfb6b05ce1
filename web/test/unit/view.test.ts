import { describe, expect, it } from "vitest";
import type { KeyPicture } from "kvorum";
import type { RequestModel, Scene } from "../../src/model/scene.ts";
import { countedVotes, decidedAt } from "../../src/view/votes.ts";
import { isAllDown, Memory } from "../../src/view/remember.ts";
import { cluster } from "./pictures.ts";

function request(part: Partial<RequestModel>): RequestModel {
  return {
    number: 1, verb: "put", key: "k", value: "v", entry: 0, coordinator: 0, partition: 0, startedUs: 0, decidedUs: null, endedUs: null,
    outcome: "running", why: null, needed: 2, votes: [], legs: [], skipped: [], siblings: 0, ...part,
  };
}

const votes = (...times: number[]): RequestModel["votes"] => times.map((atUs, node) => ({ node, hinted: false, atUs }));

describe("a tally", () => {
  it("counts all votes of what is not done, and decides nothing", () => {
    for (const outcome of ["running", "notDone", "unknown"] as const) {
      const failed = request({ outcome, endedUs: outcome === "running" ? null : 9, votes: votes(1, 2, 3) });
      expect([countedVotes(failed), decidedAt(failed)]).toEqual([3, null]);
    }
  });

  it("was decided by the last vote before the end that events tell of, however many that took", () => {
    expect(decidedAt(request({ outcome: "done", endedUs: 8, votes: votes(4, 6, 45) }))).toBe(6);
    // While a partition moves, the old and the new owners have to agree.
    const moved = request({ outcome: "done", endedUs: 8, votes: votes(4, 5, 6, 7) });
    expect([countedVotes(moved), decidedAt(moved)]).toEqual([4, 7]);
    // Before the cluster has as many nodes as W asks for.
    expect(countedVotes(request({ outcome: "done", endedUs: 8, votes: votes(4) }))).toBe(1);
  });
});

describe("what the ring showed last", () => {
  const key: KeyPicture = { key: "k", slot: 5, partition: 0, walk: [], copies: [], siblings: [], common: [], actors: [] };
  const up = cluster(3, { nowUs: 10 });
  const down = { ...cluster(3, { nowUs: 20, owners: [] }), nodes: up.nodes.map((node) => ({ ...node, isRunning: false, state: "stopped" as const, partitions: 0 })) };
  const told = (part: Partial<Scene>): Parameters<Memory["picture"]>[0] => ({ mode: "simulated", picture: up, keyPicture: key, selectedKey: "k", seed: "7", ...part });

  it("stays while all are down, and is the same object as long as nothing changes", () => {
    const memory = new Memory();
    memory.picture(told({}));
    memory.keyPicture(told({}));
    const now = told({ picture: down, keyPicture: null });
    expect(isAllDown(now)).toBe(true);
    expect(memory.picture(now)?.owners).toBe(up.owners);
    expect(memory.picture(now)?.nodes.map((node) => [node.state, node.partitions])).toEqual([["stopped", 64], ["stopped", 64], ["stopped", 64]]);
    expect(memory.picture(now)).toBe(memory.picture(now));
    expect(memory.keyPicture(now)).toBe(key);
  });

  it("is not shown for another key, another world, or a cluster that was not born yet", () => {
    const memory = new Memory();
    memory.picture(told({}));
    memory.keyPicture(told({}));
    expect(memory.keyPicture(told({ picture: down, keyPicture: null, selectedKey: "other" }))).toBeNull();
    expect(memory.keyPicture(told({ picture: down, keyPicture: null, seed: "8" }))).toBeNull();
    expect(memory.picture(told({ picture: down, seed: "8" }))?.owners).toEqual([]);
    expect(memory.picture(told({ picture: { ...down, nowUs: 5 } }))?.owners).toEqual([]);
    const unborn = cluster(3, { nowUs: 30, owners: [] });
    expect(memory.picture(told({ picture: unborn }))).toBe(unborn);
  });
});
