/** The worker: a `Host` with a real cluster, a real clock and the page at the other end. */
import { Cluster } from "kvorum";
import { Host } from "./host.ts";
import type { Command } from "./protocol.ts";

declare const self: DedicatedWorkerGlobalScope;

const host = new Host({
  create: (options) => Cluster.create(options),
  post: (post, transfer) => self.postMessage(post, transfer),
  wallMs: () => performance.now(),
  later: (ms, then) => {
    setTimeout(then, ms);
  },
});

// Only the page's own client talks to this worker, and it is of the same build.
self.onmessage = (event: MessageEvent<Command>): void => void host.handle(event.data);
