/** Who has voted on a request and who has not, and what was known of who is Down: one rule for all that show it. */
import type { Leg, RequestModel, Scene } from "../model/scene.ts";

/** Votes that had come when it was decided: what comes later changes nothing. Of one that is not done, all. */
export function countedVotes(request: RequestModel): number {
  const at = decidedAt(request);
  return at === null ? request.votes.length : request.votes.filter((vote) => vote.atUs <= at).length;
}

/** Votes of fallbacks among those. */
export function hintedVotes(request: RequestModel): number {
  const at = decidedAt(request);
  return request.votes.filter((vote) => vote.hinted && (at === null || vote.atUs <= at)).length;
}

/**
 * The vote with which it was done: the last before the end that its coordinator tells of, or its entry. Whether a quorum was met is never
 * counted here: while partitions move it takes more votes than W, and a request may fail whatever it has.
 */
export function decidedAt(request: RequestModel): number | null {
  const end = request.decidedUs ?? (request.outcome === "done" ? request.endedUs : null);
  return end === null ? null : (request.votes.findLast((vote) => vote.atUs <= end)?.atUs ?? null);
}

/** Nothing is known to have come of it yet. */
export function isOpen(leg: Leg): boolean {
  return leg.answeredUs === null && leg.syncedUs === null;
}

/** Who has still to answer; or, `late`, who has the copy on its disk and whose answer is not here. */
export function awaited(request: RequestModel, which: "open" | "late"): number[] {
  const voted = new Set(request.votes.map((vote) => vote.node));
  const legs = request.legs.filter((leg) => leg.answeredUs === null && !voted.has(leg.node));
  return legs.filter((leg) => isOpen(leg) === (which === "open")).map((leg) => leg.node);
}

/** The last time until then that a node was declared Down, and by whose word. */
export function lastDown({ marks }: Scene, node: number | null, untilUs: number): { atUs: number; reporters: readonly number[] } | null {
  const downs = marks.flatMap((mark) => (mark.kind === "down" && mark.of === node && mark.atUs <= untilUs ? [mark] : []));
  return downs.at(-1) ?? null;
}
