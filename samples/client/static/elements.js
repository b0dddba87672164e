// Makes elements out of texts. Never out of markup: what a model or a FAQ says is shown as it stands.

export function make(tag, attributes = {}, text = null) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  return element;
}

// A name with a share in percent and a bar, which is there for the eye alone.
export function makeScore(name, share) {
  const percent = share < 0.01 ? "under 1 %" : `${Math.round(share * 100)} %`;
  const headline = make("span", { class: "headline" });
  headline.append(make("strong", {}, name), make("span", { class: "percent" }, percent));
  const fill = make("span", { class: "fill" });
  fill.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  const track = make("span", { class: "track", "aria-hidden": "true" });
  track.append(fill);
  return [headline, track];
}

// An answer's text: paragraphs, `code`, and lines between ``` or indented by four spaces as blocks of code.
export function makeAnswer(text) {
  const parts = [];
  for (const block of text.split(/```[a-z]*\n([\s\S]*?)```/).entries()) {
    parts.push(...(block[0] % 2 ? [makeCode(block[1])] : makeParagraphs(block[1])));
  }
  return parts;
}

function makeParagraphs(text) {
  return text.split(/\n\s*\n/).filter((part) => part.trim()).map((part) => {
    if (/^( {4}.*\n?)+$/.test(part)) return makeCode(part.replace(/^ {4}/gm, ""));
    const paragraph = make("p");
    for (const [at, piece] of part.trim().split(/(?<!`)`([^`]+)`(?!`)/).entries()) {
      paragraph.append(at % 2 ? make("code", {}, piece) : piece);
    }
    return paragraph;
  });
}

function makeCode(text) {
  // Long lines scroll sideways, which has to work with the keyboard too.
  const block = make("pre", { tabindex: "0", role: "region", "aria-label": "Code" });
  block.append(make("code", {}, text.replace(/\n$/, "")));
  return block;
}
