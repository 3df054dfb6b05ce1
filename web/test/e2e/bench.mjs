/**
 * What the built page costs: `CHROMIUM=$(command -v chromium) node test/e2e/bench.mjs`. Figures, not tests: a busy machine
 * says little. Script, style, layout and paint come from Chromium's own accounts, over the frames that were drawn.
 */
import { act, launch, open, sceneOf, serve, shows } from "./harness.mjs";
import { deflateRawSync } from "node:zlib";

const SECONDS = 5;
const browser = await launch();
const site = await serve();
const link = (options) => `${site.page}#v1.${deflateRawSync(JSON.stringify({ seed: "7", options })).toString("base64url")}`;

async function measure(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const accounts = async () => Object.fromEntries((await session.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value]));
  const before = await accounts();
  const frames = await page.evaluate(
    (ms) =>
      new Promise((resolve) => {
        const gaps = [];
        const long = [];
        const watch = new PerformanceObserver((list) => long.push(...list.getEntries().map((entry) => Math.round(entry.duration))));
        watch.observe({ entryTypes: ["longtask"] });
        let last = performance.now();
        const end = last + ms;
        let flights = 0;
        const frame = (now) => {
          gaps.push(now - last);
          last = now;
          flights += window.kvorum.scene.flights.length;
          if (now < end) requestAnimationFrame(frame);
          else {
            watch.disconnect();
            resolve({ gaps: gaps.slice(1), long, flights: Math.round(flights / gaps.length) });
          }
        };
        requestAnimationFrame(frame);
      }),
    SECONDS * 1_000,
  );
  const after = await accounts();
  const sorted = frames.gaps.toSorted((a, b) => a - b);
  const part = (name) => (((after[name] - before[name]) * 1_000) / frames.gaps.length).toFixed(2);
  return {
    "messages in flight": frames.flights,
    frames: frames.gaps.length,
    "gap p50 / p95 ms": `${sorted[sorted.length >> 1].toFixed(1)} / ${sorted[Math.floor(sorted.length * 0.95)].toFixed(1)}`,
    "dropped %": ((100 * frames.gaps.filter((gap) => gap > 25).length) / frames.gaps.length).toFixed(1),
    "script ms a frame": part("ScriptDuration"),
    "style + layout ms a frame": (Number(part("RecalcStyleDuration")) + Number(part("LayoutDuration"))).toFixed(2),
    "all main-thread ms a frame": part("TaskDuration"),
    "tasks over 50 ms": frames.long.join(" ") || "none",
  };
}

const rows = {};
{
  const { page } = await open(browser, site.page, { motion: "no-preference" });
  const done = await page.evaluate(async () => {
    window.kvorum.actions.send();
    while (window.kvorum.scene.requests[0]?.outcome !== "done") await new Promise((resolve) => setTimeout(resolve, 1));
    return performance.now();
  });
  console.log(`first put done ${Math.round(done)} ms after the navigation began`);
  for (const speed of [1, 100]) {
    await act(page, "setSpeed", speed);
    rows[`5 nodes at ${speed} x`] = await measure(page);
  }
}
for (const slow of [0, 90]) {
  const { page } = await open(browser, link({ nodes: 20, n: 3, r: 2, w: 2, resolve: "siblings" }), { motion: "no-preference" });
  await page.evaluate(() => window.kvorum.run({ until: 4_000_000 }));
  const { picture } = await sceneOf(page);
  // Slow links keep messages on their way: gossip of twenty nodes is otherwise over before it is seen.
  for (const node of picture.nodes.keys()) await act(page, "slow", node, slow);
  await act(page, "play");
  await shows(page, (us) => window.kvorum.scene.nowUs > us + 2_000_000, picture.nowUs);
  rows[`20 nodes, links ${slow} ms slow`] = await measure(page);
}
console.table(rows);
await browser.close();
await site.close();
