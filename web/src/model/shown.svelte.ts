/** What a session shows: only the session itself changes it. */
import type { Scene } from "./scene.ts";
import type { SessionScene } from "./session.ts";

export class Shown implements SessionScene {
  isLoading = $state.raw(true);
  trouble = $state.raw<Scene["trouble"]>(null);
  picture = $state.raw<Scene["picture"]>(null);
  selectedKey = $state.raw<Scene["selectedKey"]>(null);
  keyPicture = $state.raw<Scene["keyPicture"]>(null);
  selectedNode = $state.raw<Scene["selectedNode"]>(null);
  nodePicture = $state.raw<Scene["nodePicture"]>(null);
  followed = $state.raw<Scene["followed"]>(null);
  requests = $state.raw<Scene["requests"]>([]);
  flights = $state.raw<Scene["flights"]>([]);
  marks = $state.raw<Scene["marks"]>([]);
  verdict = $state.raw<Scene["verdict"]>(null);
  nowUs = $state.raw(0);
  events = $state.raw(0);
  isPlaying = $state.raw(false);
  speed = $state.raw(1);
  seed = $state.raw("");
  digest = $state.raw("");
  live = $state.raw<Scene["live"]>(null);
  running = $state.raw<Scene["running"]>(null);
}
