/** One cluster that the page shows, simulated or live: its part of the scene, and what both kinds can be asked to do. */
import type { News } from "./news.ts";
import type { Scene } from "./scene.ts";

/** What a session knows. The rest of a scene (mode, draft, view, what is wrong with a field) is the page's. */
export type SessionScene = Readonly<
  Pick<
    Scene,
    | "isLoading"
    | "trouble"
    | "picture"
    | "selectedKey"
    | "keyPicture"
    | "selectedNode"
    | "nodePicture"
    | "followed"
    | "requests"
    | "flights"
    | "marks"
    | "verdict"
    | "nowUs"
    | "events"
    | "isPlaying"
    | "speed"
    | "seed"
    | "digest"
    | "live"
    | "running"
  >
>;

export interface Session {
  readonly shown: SessionScene;
  select(key: string | null, node: number | null): void;
  follow(request: number | null): void;
  play(): void;
  pause(): void;
}

/** Who hears what is worth a sentence. */
export type Tell = (news: readonly News[]) => void;
