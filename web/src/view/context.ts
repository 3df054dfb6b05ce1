/** The scene and the actions, handed down once instead of through every component. */
import { getContext, setContext } from "svelte";
import type { Actions, Scene } from "../model/scene.ts";

export interface ViewContext {
  readonly scene: Scene;
  readonly actions: Actions;
  /** Says a sentence in the polite live region. */
  readonly say: (sentence: string) => void;
}

const KEY = Symbol("view");

export function provideView(context: ViewContext): void {
  setContext(KEY, context);
}

export function useView(): ViewContext {
  return getContext<ViewContext>(KEY);
}
