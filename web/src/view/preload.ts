/** Parts that come when they are opened come at once where a node serves the page: it may be gone when they are wanted. */
export function preloadParts(): void {
  // A part that does not come now is asked for again when it is opened, and says so then.
  for (const part of [import("./request/RequestView.svelte"), import("./stage/StageTable.svelte"), import("./Help.svelte"), import("./dock/HistoryLanes.svelte"), import("../messages/ko.ts")]) {
    part.catch(() => undefined);
  }
}
