/** The page as a hand uses it: fields, buttons, nodes on the ring. Names are those that a screen reader says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { act, fixture, open, pass, passUntil, sceneOf, send, shows } from "./harness.mjs";

const stand = fixture();

const button = (page, name) => page.getByRole("button", { name, exact: true });

describe("by pointer", { timeout: 120_000 }, () => {
  it("a put is written, sent and followed, and its node looked into, crashed and revived", async () => {
    const { page, close } = await open(stand.browser, stand.site.page);
    await page.getByRole("textbox", { name: "key" }).fill("basket");
    await page.getByRole("textbox", { name: "value" }).fill("bread");
    await page.getByRole("combobox", { name: "through" }).selectOption({ label: "c" });
    await button(page, "Send").click();
    await shows(page, () => window.kvorum.scene.requests[0]?.outcome === "done");
    const [request] = (await sceneOf(page)).requests;
    assert.deepEqual([request.key, request.value, request.entry], ["basket", "bread", 2]);
    await page.getByRole("heading", { name: "basket" }).waitFor();
    await button(page, "Pause").click();
    await shows(page, () => !window.kvorum.scene.isPlaying);
    await button(page, "Node d, up").click();
    await page.getByRole("heading", { name: "Node d" }).waitFor();
    await button(page, "crash").click();
    await shows(page, () => !window.kvorum.scene.picture.nodes[3].isRunning);
    await button(page, "revive").click();
    await shows(page, () => window.kvorum.scene.picture.nodes[3].isRunning);
    await page.getByRole("combobox", { name: "Acks that a write waits for, W" }).selectOption({ label: "W 3" });
    await shows(page, () => window.kvorum.scene.picture.keyspace.w === 3);
    const second = await (async () => {
      await button(page, "Send").click();
      await shows(page, () => window.kvorum.scene.requests.length === 2);
      return (await passUntil(page, (now) => now.requests[1].outcome !== "running", { what: "the second put ends" })).requests[1];
    })();
    assert.deepEqual([second.needed, second.outcome, second.votes.length], [3, "done", 3]);
    await button(page, "Copy link").click();
    await page.waitForURL(/#v1\./);
    await close();
  });

  it("siblings are merged by hand, with a put that has seen both", async () => {
    const { page, close } = await open(stand.browser, stand.site.page);
    await act(page, "pause");
    await act(page, "cutHalves", [0, 1], [2, 3, 4]);
    await pass(page, 10_000_000);
    await send(page, { verb: "put", key: "list", value: "milk", through: 0 });
    await send(page, { verb: "put", key: "list", value: "eggs", through: 3 });
    await act(page, "healAll");
    // Both values are with all owners: only then can a read see both.
    const isSettled = (now) => now.keyPicture.siblings.length === 2 && now.keyPicture.copies.filter((copy) => copy.isCurrent && copy.hintFor === null).length === 3;
    await passUntil(page, isSettled, { sliceUs: 200_000, what: "there are siblings" });
    await button(page, "Merge with a put that has seen both").click();
    await page.getByRole("textbox", { name: "merged value" }).fill("milk and eggs");
    await button(page, "Merge").click();
    const merged = await passUntil(
      page,
      (now) => now.keyPicture.siblings.length === 1 && now.keyPicture.siblings[0].value === "milk and eggs",
      { what: "one value is left" },
    );
    assert.deepEqual(merged.verdict.violations, []);
    await close();
  });
});
