/**
 * What the ring showed last, for when nobody is left to say it: whose partitions are whose is known by running nodes
 * only, so a picture of a cluster whose nodes are all down has no owners and no place of any key.
 */
import type { ClusterPicture, KeyPicture } from "kvorum";
import type { Scene } from "../model/scene.ts";

/** As it is, whatever the nodes would believe of each other. */
export function isAllDown({ mode, picture }: Pick<Scene, "mode" | "picture">): boolean {
  return mode === "simulated" && picture !== null && picture.nodes.length > 0 && picture.nodes.every((node) => !node.isRunning);
}

/** Of one world: another seed, or an earlier time, is another one. */
interface Moment<T> {
  readonly seed: string;
  readonly nowUs: number;
  readonly what: T;
}

type Told = Pick<Scene, "mode" | "picture" | "keyPicture" | "selectedKey" | "seed">;

export class Memory {
  #picture: Moment<ClusterPicture> | null = null;
  #key: Moment<{ name: string; picture: KeyPicture }> | null = null;
  /** The last that was made, of which picture: the same object as long as nothing has changed. */
  #made: { of: ClusterPicture; picture: ClusterPicture } | null = null;

  /** The scene's picture, with the owners of before if it has none. */
  picture(scene: Told): ClusterPicture | null {
    const now = scene.picture;
    if (now === null || now.owners.length > 0) {
      this.#picture = now === null ? null : { seed: scene.seed, nowUs: now.nowUs, what: now };
      return now;
    }
    const last = isOfWorld(this.#picture, scene) ? this.#picture.what : null;
    if (last === null || !isAllDown(scene)) {
      return now;
    }
    if (this.#made?.of !== now) {
      const nodes = now.nodes.map((node, index) => ({ ...node, partitions: last.nodes[index]?.partitions ?? 0 }));
      this.#made = { of: now, picture: { ...now, owners: last.owners, nodes } };
    }
    return this.#made.picture;
  }

  /** The selected key's picture, or the last one of that key if all are down. */
  keyPicture(scene: Told): KeyPicture | null {
    const { keyPicture: now, selectedKey: name, picture } = scene;
    if (now !== null && name !== null) {
      this.#key = { seed: scene.seed, nowUs: picture?.nowUs ?? 0, what: { name, picture: now } };
      return now;
    }
    return isAllDown(scene) && isOfWorld(this.#key, scene) && this.#key.what.name === name ? this.#key.what.picture : null;
  }
}

function isOfWorld<T>(moment: Moment<T> | null, { seed, picture }: Told): moment is Moment<T> {
  return moment !== null && picture !== null && moment.seed === seed && moment.nowUs <= picture.nowUs;
}

/** The scene with a memory; everything else of it is asked as before. */
export function remembering(scene: Scene): Scene {
  const memory = new Memory();
  return new Proxy(scene, {
    get: (target, name): unknown =>
      name === "picture" ? memory.picture(target) : name === "keyPicture" ? memory.keyPicture(target) : Reflect.get(target, name),
  });
}
