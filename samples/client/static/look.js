// Choose, drop, paste or take a picture, see what it most probably shows.
import { make, makeScore } from "./elements.js";
import { Panel, describeTime } from "./panel.js";
import { Problem, post } from "./requests.js";

// More the model does not see: it looks at 224 to 256 pixels.
const MAX_SIDE = 1024;
const QUALITY = 0.9;

export function startLooking(section) {
  const panel = new Panel(section);
  const drop = section.querySelector("#drop");
  const preview = section.querySelector("#preview");

  function look(file) {
    panel.run("Looking at the picture …", async () => {
      const picture = await shrink(file);
      URL.revokeObjectURL(preview.src);
      preview.src = URL.createObjectURL(picture);
      preview.hidden = false;
      return post("/api/classify", picture, picture.type);
    }, show);
  }

  for (const input of section.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => {
      if (input.files.length > 0) look(input.files[0]);
      // So that the same file can be chosen again.
      input.value = "";
    });
  }
  for (const [name, isOver] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", isOver);
      if (name === "drop" && event.dataTransfer.files.length > 0) look(event.dataTransfer.files[0]);
    });
  }
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData?.files ?? [];
    if (file && !section.hidden) look(file);
  });
}

// Returns the picture as a JPEG of no more pixels than are of use; where it was taken and by what is left out by that.
async function shrink(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Problem({ code: "NoPicture", message: "That is no picture that your browser can read. Take a JPEG or PNG file." });
  }
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = make("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  // JPEG knows nothing transparent: without this it would be black.
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve, reject) => {
    const done = (blob) => (blob ? resolve(blob) : reject(new Error("the picture could not be written")));
    canvas.toBlob(done, "image/jpeg", QUALITY);
  });
}

function show(found) {
  const { labels } = found.answer;
  const list = make("ol", { "aria-label": "What the picture may show, most probable first" });
  for (const { label, score } of labels) {
    const item = make("li", { class: "label" });
    item.append(...makeScore(label, score));
    list.append(item);
  }
  const best = labels.length > 0 ? `Most probably ${labels[0].label}.` : "Nothing was recognised.";
  return { nodes: [list], summary: `${best} Answered ${describeTime(found)}.` };
}
