/** Why it went as it did: at most four paragraphs, each made of what the request's own events say. */
import { decimal, list, lookUp, number, t } from "../../messages/index.svelte.ts";
import type { RequestModel, Scene } from "../../model/scene.ts";
import { nameIn, namesIn, verbName } from "../names.ts";
import { awaited, decidedAt, lastDown } from "../votes.ts";

export interface Why {
  readonly title: string;
  readonly text: string;
}

const WHYS_MAX = 4;

export function whysOf(scene: Scene, request: RequestModel): Why[] {
  return [...coordinator(scene, request), ...fallback(scene, request), outcome(scene, request), ...siblings(request)].slice(0, WHYS_MAX);
}

function coordinator(scene: Scene, { coordinator: node, entry, partition, verb }: RequestModel): Why[] {
  if (node === null) {
    return [];
  }
  const name = nameIn(scene, node);
  const text =
    node === entry
      ? t("why.coordinatedSelf", { node: name, partition })
      : t("why.coordinatedText", { entry: nameIn(scene, entry), partition, verb: verbName(verb), node: name });
  return [{ title: t("why.coordinated", { node: name }), text }];
}

function fallback(scene: Scene, request: RequestModel): Why[] {
  const leg = request.legs.find((one) => one.role === "fallback" && one.standsFor !== null);
  if (leg === undefined || leg.standsFor === null) {
    return [];
  }
  const target = leg.standsFor;
  const holes = { node: nameIn(scene, leg.node), owner: nameIn(scene, target) };
  const reporters = lastDown(scene, target, leg.askedUs)?.reporters ?? [];
  const text = reporters.length === 0 ? t("why.askedText", holes) : t("why.askedBy", { ...holes, reporters: list(namesIn(scene, reporters)) });
  return [{ title: t("why.asked", { node: holes.node }), text }];
}

function outcome(scene: Scene, request: RequestModel): Why {
  const [votes, needed] = [request.votes.length, request.needed];
  const code = lookUp(`why.code.${request.why ?? ""}`, "why.code.other", { code: request.why ?? "?" });
  switch (request.outcome) {
    case "done": {
      const at = decidedAt(request) ?? request.endedUs ?? request.startedUs;
      const ms = decimal((at - request.startedUs) / 1000, 1);
      const counted = request.votes.filter((vote) => vote.atUs <= at).map((vote) => vote.node);
      const late = request.votes.filter((vote) => vote.atUs > at).map((vote) => vote.node);
      const holes = { nodes: list(namesIn(scene, counted)), votes: counted.length };
      const text = late.length === 0 ? t("why.doneText", holes) : t("why.doneLate", { ...holes, late: list(namesIn(scene, late)) });
      return { title: t("why.done", { ms }), text };
    }
    case "notDone":
      return { title: t("why.notDone"), text: t("why.notDoneText", { votes, needed, code }) };
    case "unknown":
      return { title: t("why.unknown"), text: t("why.unknownText", { votes, needed }) };
    case "running": {
      const open = awaited(request, "open");
      return { title: t("why.running"), text: t("why.runningText", { votes, needed, open: list(namesIn(scene, open)) || t("tally.nobody") }) };
    }
  }
}

function siblings({ siblings: count }: RequestModel): Why[] {
  return count > 1 ? [{ title: t("why.siblings", { count: number(count) }), text: t("why.siblingsText") }] : [];
}
