/** What a message under way is drawn as: one rule for simulated and live clusters. */
import { lookOf } from "./message-kinds.ts";
import type { Flight, RequestModel } from "./scene.ts";

/**
 * `request`: the one that the message belongs to, if it is known; `isAwaited`: whether the message carries the number of any.
 *
 * A copy for a fallback is a hint; so is one that is awaited by no request of a client: a fallback hands it to its owner.
 */
export function flightOf(
  part: Pick<Flight, "id" | "from" | "to" | "sentUs" | "arrivesUs" | "fate">,
  message: number,
  request: RequestModel | null,
  isAwaited: boolean,
): Flight {
  const look = lookOf(message);
  const isHint =
    look.label === "flight.write" &&
    (request === null ? isAwaited : request.legs.some((leg) => leg.node === part.to && leg.role === "fallback"));
  return {
    ...part,
    glyph: isHint ? "hint" : look.glyph,
    label: isHint ? "flight.hint" : look.label,
    request: request?.number ?? null,
  };
}
