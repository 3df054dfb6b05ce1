/** Choosing what is looked at, and saying so. */
import { t } from "../messages/index.svelte.ts";
import type { ViewContext } from "./context.ts";
import { nameIn, stateName } from "./names.ts";

/** `false` if there is no such node. */
export function chooseNode({ scene, actions, say }: ViewContext, node: number): boolean {
  const summary = scene.picture?.nodes[node];
  if (summary === undefined) {
    return false;
  }
  actions.selectNode(node);
  say(t("say.selected", { node: nameIn(scene, node), state: stateName(summary.state) }));
  return true;
}

export function followRequest({ scene, actions, say }: ViewContext, number: number): void {
  actions.follow(number);
  const request = scene.requests.find((one) => one.number === number);
  if (request !== undefined) {
    say(t("say.followed", { number: String(number), verb: t(`verb.${request.verb}`), key: request.key }));
  }
}
