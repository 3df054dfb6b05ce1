/** What is written beside the stops of a walk. */
import type { WalkStep } from "kvorum";
import { t } from "../../messages/index.svelte.ts";
import type { Scene } from "../../model/scene.ts";
import type { StopRole } from "../geometry/walk.ts";
import { nameIn } from "../names.ts";

const WORDS = { owner: "walk.owner", down: "walk.ownerDown", taken: "walk.taken", hint: "walk.holdsHint" } as const;
const NAMED = { owner: "walk.nodeOwner", down: "walk.nodeDown", taken: "walk.nodeTaken", hint: "walk.nodeHint" } as const;

/** Fanned stops stand apart from their arcs, so their words name the node. */
export function stopWords(scene: Scene, role: StopRole, step: WalkStep, isFanned: boolean): string {
  return isFanned ? t(NAMED[role], { node: nameIn(scene, step.node) }) : t(WORDS[role]);
}
