/** What is written beside the stops of a walk. */
import type { WalkStep } from "kvorum";
import { t } from "../../messages/index.svelte.ts";
import type { Scene } from "../../model/scene.ts";
import type { StopRole } from "../geometry/walk.ts";
import { nameIn } from "../names.ts";

const WORDS = { owner: "walk.owner", down: "walk.ownerDown", taken: "walk.taken", hint: "walk.holdsHint", spare: "walk.fallback", fallbackDown: "walk.fallbackDown" } as const;
const NAMED = { owner: "walk.nodeOwner", down: "walk.nodeDown", taken: "walk.nodeTaken", hint: "walk.nodeHint", spare: "walk.nodeFallback", fallbackDown: "walk.nodeFallbackDown" } as const;

/** Colours of the words, and of what stands for the stop in a list. */
export const STOP_LOOKS = { owner: "owner", down: "down", taken: "quiet", hint: "hint", spare: "muted", fallbackDown: "down" } as const;

/** Fanned stops stand apart from their arcs, so their words name the node. */
export function stopWords(scene: Scene, role: StopRole, step: WalkStep, isFanned: boolean): string {
  return isFanned ? t(NAMED[role], { node: nameIn(scene, step.node) }) : t(WORDS[role]);
}
