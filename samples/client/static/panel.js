// What both parts of the page do around a request: tell that it runs, show what came of it, and explain what went wrong.
import { Problem } from "./requests.js";
import { make } from "./elements.js";

export class Panel {
  #status;
  #problem;
  #results;
  #again;
  #timer = null;
  #run = 0;

  constructor(panel) {
    this.#status = panel.querySelector(".status");
    this.#problem = panel.querySelector(".problem-place");
    this.#results = panel.querySelector(".results");
  }

  // Runs `ask` and shows what `show` makes of its result: {nodes, summary}. A newer run makes an older one's answer void.
  async run(busy, ask, show) {
    const run = ++this.#run;
    clearInterval(this.#timer);
    this.#again = () => this.run(busy, ask, show);
    this.#problem.replaceChildren();
    this.#results.setAttribute("aria-busy", "true");
    this.#status.textContent = busy;
    try {
      const found = await ask();
      if (run !== this.#run) return;
      const { nodes, summary } = show(found);
      this.#results.replaceChildren(...nodes);
      this.#status.textContent = summary;
    } catch (error) {
      if (run === this.#run) this.#explain(error);
      if (!(error instanceof Problem)) throw error;
    } finally {
      if (run === this.#run) this.#results.removeAttribute("aria-busy");
    }
  }

  #explain(error) {
    this.#status.textContent = "";
    this.#results.replaceChildren();
    const told = error instanceof Problem ? error.message : "This page has made a mistake. Load it again.";
    this.#problem.replaceChildren(make("p", {}, told));
    this.#problem.dataset.code = error.code ?? "Failed";
    if (error.code === "SignedOut") {
      // In a window of its own: what was typed stays here.
      const link = make("a", { href: "/sign-in", target: "_blank", rel: "noopener", class: "button" }, "Sign in");
      this.#problem.append(link, make("p", {}, "Then load this page again."));
    } else if (error.code === "OldPage") {
      this.#problem.append(make("a", { href: "/", class: "button" }, "Load the page again"));
    } else {
      this.#offerAgain(error.retryAfter ?? 0);
    }
  }

  // A button to try again, once the time to wait is over. Its countdown is not announced, only the sentence before it.
  #offerAgain(seconds) {
    const button = make("button", { type: "button" });
    let left = seconds;
    const tell = () => {
      button.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
      button.setAttribute("aria-disabled", String(left > 0));
      if (left <= 0) clearInterval(this.#timer);
      left -= 1;
    };
    tell();
    this.#timer = seconds > 0 ? setInterval(tell, 1000) : null;
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") !== "true") this.#again();
    });
    const place = make("div", { "aria-live": "off" });
    place.append(button);
    this.#problem.append(place);
  }
}

export function describeTime(found) {
  const all = `${Math.round(found.milliseconds)} ms`;
  const own = found.answer.milliseconds;
  return own === null ? `in ${all}` : `in ${all}, of which the model took ${own < 10 ? own.toFixed(1) : Math.round(own)} ms`;
}
