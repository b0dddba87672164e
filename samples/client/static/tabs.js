// Tabs as the ARIA authoring practices have them: one of them is in the order of Tab, arrows go between them.

export function startTabs(list) {
  const tabs = [...list.querySelectorAll("[role=tab]")];

  function select(tab) {
    for (const one of tabs) {
      const isSelected = one === tab;
      one.setAttribute("aria-selected", String(isSelected));
      one.tabIndex = isSelected ? 0 : -1;
      document.getElementById(one.getAttribute("aria-controls")).hidden = !isSelected;
    }
    history.replaceState(null, "", `#${tab.getAttribute("aria-controls")}`);
  }

  const steps = { ArrowLeft: -1, ArrowRight: 1 };
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) select(tab);
  });
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement);
    let to = { Home: 0, End: tabs.length - 1 }[event.key];
    if (event.key in steps) to = (at + steps[event.key] + tabs.length) % tabs.length;
    if (to === undefined || at < 0) return;
    event.preventDefault();
    select(tabs[to]);
    tabs[to].focus();
  });
  const asked = tabs.find((tab) => `#${tab.getAttribute("aria-controls")}` === location.hash);
  if (asked) select(asked);
}
