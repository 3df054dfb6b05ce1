/** The polite live region: at most one sentence a second, the newest wins. */
const PAUSE_MS = 1000;

export class Announcer {
  sentence = $state("");
  #waiting: string | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  readonly say = (sentence: string): void => {
    if (this.#timer !== null) {
      this.#waiting = sentence;
      return;
    }
    this.sentence = sentence;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const next = this.#waiting;
      this.#waiting = null;
      if (next !== null) {
        this.say(next);
      }
    }, PAUSE_MS);
  };
}
