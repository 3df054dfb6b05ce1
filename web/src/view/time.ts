/** What keys and buttons do to time. */
import { t } from "../messages/index.svelte.ts";
import type { ViewContext } from "./context.ts";
import { nextSpeed } from "./geometry/time.ts";
import { clock } from "./names.ts";
import { halt } from "./travel.ts";

/** Plays or pauses; while a way through time is under way, ends that. */
export function toggle(view: ViewContext): void {
  const { scene, actions, say } = view;
  if (scene.running !== null) {
    halt(view);
  } else if (scene.isPlaying) {
    actions.pause();
    say(t("say.paused", { clock: clock(scene.nowUs) }));
  } else {
    actions.play();
    say(t("say.playing"));
  }
}

export function step({ scene, actions, say }: ViewContext): void {
  if (scene.isPlaying) {
    actions.pause();
  }
  actions.step();
  say(t("say.step"));
}

export function changeSpeed({ scene, actions, say }: ViewContext, by: 1 | -1): void {
  const speed = nextSpeed(scene.speed, by);
  if (speed !== scene.speed) {
    actions.setSpeed(speed);
    say(t("say.speed", { speed: String(speed) }));
  }
}

const COPIED = { copied: "time.copied", shown: "time.notCopied", none: "time.noLink" } as const;

/** The sentence that says where the link is. */
export async function copyLink({ actions, say }: ViewContext): Promise<string> {
  const sentence = t(COPIED[await actions.copyLink()]);
  say(sentence);
  return sentence;
}
