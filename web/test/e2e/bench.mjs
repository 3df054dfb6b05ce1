/**
 * What the built page costs: `CHROMIUM=$(command -v chromium) node test/e2e/bench.mjs`. Figures, not tests: a busy machine
 * says little. Script, style, layout and paint come from Chromium's own trace of the main thread, frame by frame.
 */
import { act, launch, open, sceneOf, serve, shows } from "./harness.mjs";
import { deflateRawSync } from "node:zlib";

const SECONDS = 5;
/** A frame that took longer came too late for its turn at 60 a second, and one was left out. */
const DROPPED_MS = 25;
const CATEGORIES = ["devtools.timeline", "cc", "blink"];
/** What the trace calls the parts of a frame. A part may lie inside another: time is counted once. */
const PARTS = {
  script: ["FunctionCall", "EvaluateScript", "FireAnimationFrame", "TimerFire", "EventDispatch", "HandlePostMessage", "RunMicrotasks", "MinorGC", "MajorGC"],
  style: ["UpdateLayoutTree", "Layout"],
  paint: ["PrePaint", "Paint", "Layerize", "UpdateLayer", "LayerTreeHost::DoUpdateLayers", "Canvas2DResourceProvider::ProduceCanvasResource"],
};
const browser = await launch();
const site = await serve();
const link = (options) => `${site.page}#v1.${deflateRawSync(JSON.stringify({ seed: "7", options })).toString("base64url")}`;

/** What is at `share` of the way from the least to the greatest. */
const quantile = (numbers, share) => numbers.toSorted((a, b) => a - b)[Math.floor((numbers.length - 1) * share)] ?? 0;

/** Milliseconds that intervals cover from `from` to `to`, each moment once. `intervals` are in order of their beginnings. */
function covered(intervals, from, to) {
  let [sum, end] = [0, from];
  for (const { ts, dur } of intervals) {
    const [start, stop] = [Math.max(ts, end), Math.min(ts + dur, to)];
    if (stop > start) sum += stop - start;
    end = Math.max(end, stop);
  }
  return sum / 1_000;
}

/** The trace of the page's main thread while `body` runs, in order. */
async function traced(body) {
  const session = await browser.newBrowserCDPSession();
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  const traceConfig = { includedCategories: CATEGORIES, excludedCategories: ["*"] };
  await session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig });
  const result = await body();
  const done = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
  await session.send("Tracing.end");
  await done;
  await session.detach();
  const { pid, tid } = events.find((event) => event.name === "FireAnimationFrame");
  const main = events.filter((event) => event.ph === "X" && event.pid === pid && event.tid === tid);
  return { result, main: main.sort((a, b) => a.ts - b.ts) };
}

async function measure(page) {
  const { result, main } = await traced(() => watched(page));
  const starts = main.filter(({ name }) => name === "ProxyMain::BeginMainFrame").map(({ ts }) => ts);
  const of = (names) => {
    const intervals = main.filter(({ name }) => names.includes(name));
    // From one frame's beginning to the next one's: the messages that came between count for the frame that drew them.
    return starts.slice(1).map((to, index) => covered(intervals.filter(({ ts }) => ts < to && ts >= starts[index] - 1e6), starts[index], to));
  };
  const [script, style, paint] = Object.values(PARTS).map(of);
  const whole = of(Object.values(PARTS).flat());
  const p50 = (numbers) => quantile(numbers, 0.5).toFixed(1);
  return {
    "messages in flight": result.flights,
    frames: result.gaps.length,
    "gap p50 / p95 ms": `${p50(result.gaps)} / ${quantile(result.gaps, 0.95).toFixed(1)}`,
    "dropped %": ((100 * result.gaps.filter((gap) => gap > DROPPED_MS).length) / result.gaps.length).toFixed(1),
    "script p50 ms": p50(script),
    "style + layout p50 ms": p50(style),
    "paint p50 ms": p50(paint),
    "all three p50 / p95 ms": `${p50(whole)} / ${quantile(whole, 0.95).toFixed(1)}`,
    "tasks over 50 ms": result.long.join(" ") || "none",
  };
}

/** What the page itself sees of its frames. */
const watched = (page) =>
  page.evaluate(
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
