// Menus: what an attempt has sent, the same request to another model, two requests side by side, the pool.

import { command, el, one, selected, store, tell } from "./parts.js";

const FORMS = [["curl", "cURL"], ["httpie", "HTTPie"], ["raw_request", "raw request"], ["raw_response", "raw answer"]];

const copy = async (words, text) => {
  try {
    await navigator.clipboard.writeText(await text);
    tell(`Copied: ${words}`);
  } catch (error) {
    tell(error.message || String(error), true);
  }
};

const menu = (icon, title, fill) => {
  const made = el("details", "gw-menu");
  const head = el("summary", "btn btn-default", el("i", `fa ${icon}`), `${title}▾`);
  const list = el("div", "dropdown-menu gw-list");
  made.append(head, list);
  head.addEventListener("click", () => {
    if (made.open) return;
    list.replaceChildren(...fill());
    const place = head.getBoundingClientRect();
    list.style.left = `${Math.max(4, Math.min(place.left, innerWidth - 270))}px`;
    list.style.top = `${place.bottom}px`;
  });
  return made;
};

const item = (words, act) => {
  const made = el("button", "gw-item", words);
  made.addEventListener("click", () => {
    made.closest("details").open = false;
    act();
  });
  return made;
};

const exports = () => {
  const [flow] = selected();
  const made = [el("h6", "", "What the client asked")];
  for (const [form, words] of FORMS)
    if (form !== "raw_response" || flow.response)
      made.push(item(words, () => copy(`the request as ${words}`, command("export", form, `@${flow.id}`))));
  const attempts = flow.gateway?.attempts ?? [];
  if (attempts.length && !flow.gateway.kept) made.push(el("h6", "", "What went to providers isn't saved with a flow"));
  for (const attempt of flow.gateway?.kept ? attempts : []) {
    made.push(el("h6", "", `Attempt ${attempt.number} · ${attempt.to}${attempt.failed ? ` · ${attempt.failed}` : ""}`));
    for (const [form, words] of FORMS)
      made.push(item(words, () => copy(
        `attempt ${attempt.number} as ${words}`, command("gateway.export", form, `@${flow.id}`, String(attempt.number)))));
  }
  return made;
};

let models = [];
fetch("/gateway/models").then((answer) => answer.json()).then((found) => (models = found)).catch(() => {});

const sends = () => {
  const flows = selected().filter((flow) => flow.gateway?.kept);
  if (!flows.length) return [el("h6", "", "A request from a file can't be sent again")];
  if (!models.length) return [el("h6", "", "No model has a name of its own")];
  return [el("h6", "", "The same request again, to"), ...models.map((model) => item(model, async () => {
    try {
      tell(await command("gateway.replay", `@${flows.map((flow) => flow.id).join(",")}`, model));
    } catch (error) {
      tell(error.message, true);
    }
  }))];
};

const pair = () => {
  const flows = selected().filter((flow) => flow.gateway);
  return flows.length === 2 ? `/gateway/compare?flows=${flows.map((flow) => flow.id).join(",")}` : "";
};

const link = (className, words, address) => {
  const made = el("a", className, words);
  Object.assign(made, { href: address, target: "_blank", rel: "noopener" });
  return made;
};

export const draw = () => {
  const nav = one("#container > header > nav");
  if (nav && !one(".gw-pool", nav)) {
    const pool = link("gw-pool", el("i", "fa fa-server"), "/gateway/pool/");
    pool.append("Pool");
    pool.title = "Accounts, what runs, providers";
    nav.append(pool);
  }
  const actions = one(".flow-menu");
  if (actions && !one(".gw-group", actions)) {
    const content = el("div", "menu-content", menu("fa-clone", "Export", exports), menu("fa-share", "Send to", sends),
      el("span", "gw-compare"));
    actions.prepend(el("div", "menu-group gw-group", content, el("div", "menu-legend", "Gateway")));
  }
  const ours = selected().some((flow) => flow.gateway);
  one(".gw-group", actions ?? document)?.classList.toggle("gw-none", !ours);
  offer(actions);
};

// Two requests: a page with both.
const offer = (actions) => {
  const address = pair(), chosen = selected().length, place = actions && one(".gw-compare", actions);
  if (place && place.dataset.to !== address) {
    place.dataset.to = address;
    const button = address ? link("btn btn-default", "", address) : el("span", "btn btn-default disabled");
    button.append(el("i", "fa fa-columns"), "Compare");
    button.title = address ? "Both answers side by side" : "Choose two requests: Ctrl or ⌘ and a click";
    place.replaceChildren(button);
  }
  const bar = one(".gw-bar");
  if (!address || chosen !== 2) bar?.remove();
  else if (bar?.dataset.to !== address) {
    bar?.remove();
    const made = el("div", "gw-bar", "2 requests", link("btn btn-primary btn-sm", "Compare side by side", address));
    made.dataset.to = address;
    one("#container").append(made);
  }
};

document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll(".gw-menu[open]")) if (!open.contains(event.target)) open.open = false;
});
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && one(".gw-menu[open]");
  if (open) {
    open.open = false;
    event.stopPropagation();
  }
}, true);
