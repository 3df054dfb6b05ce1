/** Mounts the view on the model: the only place that knows both. */
import { mount } from "svelte";
import { createApp } from "./model/app.svelte.ts";
import { expose } from "./model/debug.ts";
import "./styles/tokens.css";
import "./styles/base.css";
import App from "./view/App.svelte";

const target = document.getElementById("app");
if (target !== null) {
  const app = createApp();
  // A link that is pasted into an open page is opened as in a new one. The page itself never changes its address.
  addEventListener("hashchange", () => {
    location.reload();
  });
  expose(app);
  mount(App, {
    target,
    props: {
      scene: app.scene,
      actions: app.actions,
      // A link names one, and is decoded later than this.
      get language() {
        return app.language;
      },
      onNews: (listener) => app.onNews(listener),
    },
  });
}
