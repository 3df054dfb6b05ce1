/** Ways through time that are longer than a step: back, and to the end. */
import { number, t } from "../messages/index.svelte.ts";
import type { Running, Scene } from "../model/scene.ts";
import type { ViewContext } from "./context.ts";
import { clock } from "./names.ts";

export function stepBack({ scene, actions, say }: ViewContext): void {
  say(t("say.back", { count: scene.events }));
  actions.stepBack();
}

/** To the end of the script; whoever asks while something is under way ends that. */
export function toEnd(view: ViewContext): void {
  if (view.scene.running !== null) return halt(view);
  view.actions.runToEnd();
  view.say(t("say.toEnd"));
}

export function halt({ scene, actions, say }: ViewContext): void {
  actions.halt();
  say(t("say.halted", { clock: clock(scene.nowUs) }));
}

/** What goes on with time, as one line: how far a way is, or that it plays or stands. */
export function pace({ running, isPlaying, events }: Scene): string {
  if (running === null) return t(isPlaying ? "time.playing" : "time.paused", { count: events });
  const what = wayOf(running);
  return running.part === null ? what : t("time.part", { what, percent: number(Math.floor(running.part * 100)) });
}

function wayOf({ goal }: Running): string {
  switch (goal) {
    case "back":
      return t("time.backing");
    case "end":
      return t("time.ending");
    case "moment":
      return t("time.coming");
  }
}
