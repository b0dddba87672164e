// Starts what the page has: either model may be missing.
import { startAsking } from "./ask.js";
import { startLooking } from "./look.js";
import { startTabs } from "./tabs.js";

for (const [id, start] of [["ask", startAsking], ["look", startLooking]]) {
  const panel = document.getElementById(id);
  if (panel) start(panel);
}
const tabs = document.querySelector("[role=tablist]");
if (tabs) startTabs(tabs);
// Tests wait for it: what is clicked from now on is heard.
document.documentElement.classList.add("ready");
