/** The connection to a live cluster, as a sentence. */
import { decimal, t } from "../../messages/index.svelte.ts";
import type { LiveFacts } from "../../model/scene.ts";

/** There is none, and not because one is only beginning. */
export function isCutOff(live: LiveFacts | null): live is LiveFacts {
  return live?.status === "lost" || live?.status === "refused" || live?.status === "unreachable";
}

export function connectionSentence({ status, address, lastEventMs, retryInMs }: LiveFacts): string {
  const ago = decimal(lastEventMs / 1000, 1);
  switch (status) {
    case "attached":
      return t("live.attached", { address, seconds: ago });
    case "attaching":
      return t("live.attaching", { address });
    case "lost":
      return retryInMs === null ? t("live.lostNow", { ago }) : t("live.lost", { ago, retry: Math.max(0, Math.ceil(retryInMs / 1000)) });
    case "refused":
      return t("live.refused");
    case "unreachable":
      return t("live.unreachable", { address });
  }
}
