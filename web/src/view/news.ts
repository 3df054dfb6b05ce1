/** News as sentences for the live region. */
import { list, t } from "../messages/index.svelte.ts";
import type { News } from "../model/news.ts";
import type { Scene } from "../model/scene.ts";
import { nameIn, namesIn } from "./names.ts";

export function sentenceOf(scene: Scene, news: News): string {
  switch (news.kind) {
    case "down":
      return t("say.down", { node: nameIn(scene, news.node), reporters: list(namesIn(scene, news.reporters)) });
    case "up":
      return t("say.up", { node: nameIn(scene, news.node) });
    case "hintDelivered":
      return t("say.hint", { by: nameIn(scene, news.by), to: nameIn(scene, news.to), key: news.key });
    case "requestEnded":
      return news.outcome === "done"
        ? t("say.done", { number: news.number, votes: Math.min(news.votes, news.needed), needed: news.needed })
        : t(news.outcome === "notDone" ? "say.notDone" : "say.unknown", { number: news.number });
    case "siblings":
      return t("say.siblings", { key: news.key, count: news.count });
    case "connectionLost":
      return t("say.connectionLost", { address: news.address });
    case "connectionBack":
      return t("say.connectionBack", { address: news.address });
    case "violation":
      return t("say.violation", { checker: news.checker });
  }
}
