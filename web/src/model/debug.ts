/**
 * `window.kvorum`: a face for tests and the curious, read only but for what the page itself can do.
 *
 * `kvorum.scene` is what is drawn now, `kvorum.actions` what the page's controls call, and `kvorum.run(goal)` goes on to
 * a virtual time (`{ until: 2_000_000 }`, in µs), to a count of events (`{ events: 5_000 }`) or to the end of the script
 * (`{ until: "end" }`), so that a test never sleeps. `kvorum.reproduction()` tells seed, script, events and trace hash.
 */
import type { App } from "./app.svelte.ts";

export type DebugFace = Readonly<Pick<App, "scene" | "actions" | "run" | "reproduction">>;

declare global {
  interface Window {
    readonly kvorum?: DebugFace;
  }
}

export function expose(app: App): void {
  const face: DebugFace = Object.freeze({
    scene: app.scene,
    actions: app.actions,
    run: (goal: Parameters<App["run"]>[0]) => app.run(goal),
    reproduction: () => app.reproduction(),
  });
  Object.defineProperty(window, "kvorum", { value: face, configurable: true });
}
