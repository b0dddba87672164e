// Ask a question, see the FAQs that match.
import { make, makeAnswer, makeScore } from "./elements.js";
import { Panel, describeTime } from "./panel.js";
import { post } from "./requests.js";

const CLOSE = 0.5;

export function startAsking(section) {
  const panel = new Panel(section);
  const form = section.querySelector("form");
  const question = form.elements.question;

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const body = JSON.stringify({ question: question.value });
    panel.run("Looking for FAQs that match …", () => post("/api/ask", body, "application/json"), show);
  });
  question.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  for (const chip of form.querySelectorAll(".chip")) {
    chip.addEventListener("click", () => {
      question.value = chip.textContent;
      form.requestSubmit();
    });
  }
}

function show(found) {
  const { matches } = found.answer;
  const list = make("ol", { "aria-label": "FAQs that match, best first" });
  list.append(...matches.map(makeMatch));
  return { nodes: [list], summary: `${summarise(matches)} ${capitalise(describeTime(found))}.` };
}

function summarise(matches) {
  if (matches.length === 0) return "No FAQ matches.";
  if (matches[0].score < CLOSE) return "No FAQ is a close match; these are the nearest.";
  return matches.length === 1 ? "One FAQ matches." : `${matches.length} FAQs, the best first.`;
}

function makeMatch(match, at) {
  const details = make("details", { class: "match" });
  details.open = at === 0;
  const summary = make("summary");
  summary.append(...makeScore(match.title, match.score));
  const answer = make("div", { class: "answer" });
  answer.append(...makeAnswer(match.answer || "This app has no text for this answer."));
  details.append(summary, answer);
  const item = make("li");
  item.append(details);
  return item;
}

function capitalise(text) {
  return text[0].toUpperCase() + text.slice(1);
}
