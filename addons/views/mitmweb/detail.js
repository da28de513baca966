// A flow: our views as tabs. The one that a person has chosen stays, for every flow and over a reload of the page.
// Our views are shown in mitmweb's pane Request, without the headers above them; which view a pane of mitmweb's own has
// is remembered too. Lines of our views are coloured by how they begin.

import { el, one, selected, store } from "./parts.js";

const OURS = one("script[data-views]")?.dataset.views.split(",") ?? [];
const ORDER = ["Trail", "Conversation", "Answer", "Changes"];
const TABS = [...ORDER.filter((name) => OURS.includes(name)), ...OURS.filter((name) => !ORDER.includes(name))];
const PANES = ["request", "response"];
const KEY = "gateway.view";

const read = () => {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
};
const choice = { tab: TABS[0], request: "Auto", response: "Auto", ...read() };
let seen; // of the open flow: what the store had when we had put our choice there

const choose = (chosen) => {
  Object.assign(choice, chosen);
  try {
    localStorage.setItem(KEY, JSON.stringify(choice));
  } catch {
    // private windows: the choice lasts as long as the page
  }
};

export const isOurs = () => TABS.includes(choice.tab);

const look = (flow) => {
  const { tab, contentViewFor } = store.getState().ui.flow;
  const [request, response] = PANES.map((pane) => contentViewFor[flow.id + pane] ?? "Auto");
  return { id: flow.id, tab, request, response };
};

let busy = false;
export const follow = () => {
  const [flow, another] = selected();
  if (busy || !flow || another || !flow.gateway) return;
  busy = true;
  const now = look(flow);
  if (seen?.id === flow.id) learn(now);
  apply(flow, now);
  seen = look(flow);
  busy = false;
};

// Whatever differs from what we had put there, the person has chosen.
const learn = (now) => {
  if (now.tab !== seen.tab) return choose({ tab: now.tab });
  const pane = PANES.find((name) => now[name] !== seen[name]);
  if (pane && TABS.includes(now[pane])) choose({ tab: now[pane] });
  else if (pane) choose({ tab: pane, [pane]: now[pane] });
};

const apply = (flow, now) => {
  const tab = isOurs() ? "request" : choice.tab;
  if (now.tab !== tab) store.dispatch({ type: "ui/flow/selectTab", payload: tab });
  for (const pane of PANES) {
    const view = isOurs() && pane === "request" ? choice.tab : choice[pane];
    if (now[pane] !== view)
      store.dispatch({ type: "ui/flow/setContentViewFor", payload: { messageId: flow.id + pane, contentView: view } });
  }
};

const open = (tab) => {
  choose({ tab });
  seen = undefined;
  follow();
  draw();
};

export const draw = (changed = true) => {
  const nav = one(".flow-detail > nav"), [flow] = selected();
  if (!nav || !flow) return;
  if (!one(".gw-tabs", nav)) {
    const tabs = el("span", "gw-tabs", ...TABS.map((name) => {
      const link = el("a", "gw-tab", name);
      link.href = "#";
      link.addEventListener("click", (event) => (event.preventDefault(), open(name)));
      return link;
    }));
    one(".close-button", nav).after(tabs);
    // mitmweb's own tabs: the one under ours is chosen already, as far as the store knows
    nav.addEventListener("click", (event) => {
      const native = event.target.closest("a:not(.gw-tab)");
      if (native) open(native.textContent.toLowerCase());
    });
  }
  const ours = isOurs() && Boolean(flow.gateway);
  nav.parentElement.classList.toggle("gw-ours", ours);
  nav.classList.toggle("gw-foreign", !flow.gateway);
  for (const tab of nav.querySelectorAll(".gw-tab")) tab.classList.toggle("active", ours && tab.textContent === choice.tab);
  if (changed) colour(); // of what may be thousands of lines
};

const view = () => (isOurs() ? choice.tab : choice[store.getState().ui.flow.tab]);

// What a line begins with is said in addons/views/__init__.py.
const RULES = {
  Changes: [[/^\+/, "gw-add"], [/^-/, "gw-del"], [/^~/, "gw-mod"]],
  Trail: [
    [/^✓|^verdict +answered/, "gw-good"], [/^✗|^failed /, "gw-bad"], [/^verdict +still|^… \d/, "gw-mod"],
    [/^verdict /, "gw-next"], [/^ +\+\d/, "gw-step"], [/^[a-z][a-z ]{0,11} {2,}/, "gw-fact"],
  ],
};
const ALWAYS = [[/^── |^══ /, "gw-rule"], [/^\s*… /, "gw-dim"]];

const colour = () => {
  const lines = one(".flow-detail .contentview pre")?.children ?? [], name = view();
  const rules = TABS.includes(name) ? [...ALWAYS.slice(0, 1), ...(RULES[name] ?? []), ...ALWAYS.slice(1)] : [];
  let first = rules.length > 0;
  for (const line of lines) {
    const text = line.textContent;
    let found = rules.find(([pattern]) => pattern.test(text))?.[1] ?? "";
    if (first && text && !found) found = "gw-first";
    first = false;
    if (line.className !== found && line.tagName === "DIV") line.className = found;
  }
};

// An answer that runs is shown as it comes: mitmweb asks for a view again when the hash of its body is another one. What
// takes the gateway long is asked for less often.
const GROWING = ["Trail", "Answer"], EVERY = 1500, PAUSE = 20; // milliseconds, and times as long as it took
let turn = 0, asked = 0, took = 0;
new PerformanceObserver((found) => {
  for (const entry of found.getEntries()) if (entry.name.includes("/content/")) took = entry.duration;
}).observe({ type: "resource" });
setInterval(() => {
  const [flow, another] = selected();
  if (!flow || another || document.hidden || flow.gateway?.state !== "running" || !GROWING.includes(choice.tab)) return;
  if (performance.now() - asked < Math.max(EVERY, PAUSE * took)) return;
  asked = performance.now();
  const hash = `${flow.request.contentHash.split("#")[0]}#${++turn}`;
  const again = { ...flow, request: { ...flow.request, contentHash: hash } };
  store.dispatch({ type: "flows/update", payload: { flow: again, matching_filters: {} } });
}, 500);
