/** What stands at the end of each row of the walk: where the copy of the selected key is. */
import type { KeyPicture, WalkStep } from "kvorum";
import { t } from "../../messages/index.svelte.ts";
import type { RequestModel, Scene } from "../../model/scene.ts";
import type { Role } from "../glyphs.ts";
import { isDown, nameIn } from "../names.ts";
import { isOpen } from "../votes.ts";

export interface Status {
  readonly text: string;
  readonly role: Role;
}

const NOTHING: Status = { text: "", role: "muted" };

export function statusOf(scene: Scene, key: KeyPicture, step: WalkStep, request: RequestModel | null): Status {
  if (step.role === "taken") {
    return NOTHING;
  }
  const copy = key.copies.find((one) => one.node === step.node && (step.role === "fallback") === (one.hintFor !== null));
  if (step.role === "fallback") {
    const owner = copy?.hintFor ?? request?.legs.find((leg) => leg.node === step.node && isOpen(leg))?.standsFor ?? null;
    // What it keeps is still its own, but nobody can have it from there.
    const role = isDown(scene.picture?.nodes[step.node]?.state) ? "down" : "hint";
    return owner === null ? NOTHING : { text: t("copy.hintFor", { node: nameIn(scene, owner) }), role };
  }
  const leg = request?.legs.find((one) => one.node === step.node && one.role === "owner");
  const hasVoted = request?.verb !== "get" && request?.votes.some((vote) => vote.node === step.node && !vote.hinted) === true;
  const isUnderWay = leg !== undefined && isOpen(leg);
  // Down for the others, but not for the one who asked it: each side of a cut believes that of the other.
  const node = scene.picture?.nodes[step.node];
  if (isDown(node?.state) && !(hasVoted && node?.isRunning === true)) {
    return { text: t(hasVoted ? "state.down" : "copy.skipped"), role: "down" };
  }
  if (isUnderWay && request?.verb !== "get") {
    return { text: t("copy.onItsWay"), role: "flight" };
  }
  if (copy === undefined) {
    return { text: t("copy.missing"), role: "muted" };
  }
  if (!copy.isCurrent) {
    return { text: t("copy.behind"), role: "conflict" };
  }
  if (!copy.isSynced) {
    return { text: t("copy.unsynced"), role: "muted" };
  }
  return { text: t(scene.mode === "live" ? "copy.same" : "copy.stored"), role: "owner" };
}

/**
 * A fallback that keeps a hint of the key, or that the request on it has asked and that has not answered. One that is Down
 * cannot be asked what it keeps: whoever was asked is shown.
 */
export function isStandIn(scene: Scene, key: KeyPicture, node: number): boolean {
  const request = scene.requests.find((one) => one.number === scene.followed && one.key === key.key);
  return key.copies.some((copy) => copy.node === node && copy.hintFor !== null) || request?.legs.some((leg) => leg.node === node && leg.role === "fallback" && (isDown(scene.picture?.nodes[node]?.state) || (request.outcome === "running" && isOpen(leg)))) === true;
}
