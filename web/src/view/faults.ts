/** What can be done to the selected node and to the network: the same list for buttons and for keys. */
import { list, t } from "../messages/index.svelte.ts";
import type { ViewContext } from "./context.ts";
import { halvesAround, type Halves } from "./geometry/cut.ts";
import { nameIn, namesIn } from "./names.ts";

export interface Fault {
  readonly id: "crash" | "cut" | "slow" | "loss" | "halves";
  readonly label: string;
  /** On the key cap, and as `aria-keyshortcuts` has it. */
  readonly cap: string;
  readonly shortcut: string;
  readonly act: () => void;
}

/** Long beside a hop of about a millisecond, short beside the timeouts. */
const SLOW_MS = 40;
const LOSS_PERMILLE = 300;

export function faultsOf(view: ViewContext): Fault[] {
  const { scene, actions, say } = view;
  const node = scene.selectedNode;
  const picture = scene.picture;
  const summary = node === null ? undefined : picture?.nodes[node];
  if (node === null || summary === undefined || picture === null) {
    return [];
  }
  const name = nameIn(scene, node);
  // What the others believe does not matter here: a node that runs can be stopped (one that stands still, too), another started.
  const down = !summary.isRunning;
  const isCut = picture.cuts.some(([from, to]) => from === node || to === node);
  const [slow, loss] = [summary.slowMs > 0, summary.lossPermille > 0];
  const faults: Fault[] = [
    {
      id: "crash",
      label: t(down ? "faults.revive" : "faults.crash"),
      cap: "X",
      shortcut: "X",
      act: () => {
        actions.crashOrRevive(node);
        say(t(down ? "say.revive" : "say.crash", { node: name }));
      },
    },
    {
      id: "cut",
      label: t(isCut ? "faults.heal" : "faults.cut"),
      cap: "C",
      shortcut: "C",
      act: () => {
        actions.cutOrHeal(node);
        say(t(isCut ? "say.heal" : "say.cut", { node: name }));
      },
    },
    {
      id: "slow",
      label: t(slow ? "faults.slowEnd" : "faults.slow"),
      cap: "S",
      shortcut: "S",
      act: () => {
        actions.slow(node, slow ? 0 : SLOW_MS);
        say(slow ? t("say.fast", { node: name }) : t("say.slow", { node: name, ms: SLOW_MS }));
      },
    },
    {
      id: "loss",
      label: t(loss ? "faults.lossEnd" : "faults.loss"),
      cap: "L",
      shortcut: "L",
      act: () => {
        actions.loss(node, loss ? 0 : LOSS_PERMILLE);
        say(loss ? t("say.noLoss", { node: name }) : t("say.loss", { node: name, percent: LOSS_PERMILLE / 10 }));
      },
    },
  ];
  if (picture.nodes.length > 1) {
    const hasCuts = picture.cuts.length > 0;
    faults.push({
      id: "halves",
      label: t(hasCuts ? "faults.healAll" : "faults.halves"),
      cap: "⇧C",
      shortcut: "Shift+C",
      act: () => {
        if (hasCuts) {
          actions.healAll();
          say(t("say.healAll"));
        } else {
          cutInTwo(view, halvesAround(node, picture.nodes.length));
        }
      },
    });
  }
  return faults;
}

export function cutInTwo({ scene, actions, say }: ViewContext, { one, other }: Halves): void {
  actions.cutHalves(one, other);
  say(t("say.halves", { one: list(namesIn(scene, one)), other: list(namesIn(scene, other)) }));
}
