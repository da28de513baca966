// mitmweb's page with our list, views and menus. mitmweb draws itself anew at every change: what is ours is looked after
// as soon as it has, before it can be seen. Nothing here costs more when there are more flows.

import * as detail from "./detail.js";
import * as list from "./list.js";
import * as menus from "./menus.js";
import { store } from "./parts.js";

const draw = (changes) => {
  list.draw();
  detail.draw(!changes || changes.some(inDetail));
  menus.draw();
  drawn.takeRecords();
};
const inDetail = ({ target }) => (target.nodeType === Node.ELEMENT_NODE ? target : target.parentElement)?.closest(".flow-detail");
const drawn = new MutationObserver(draw);

let waiting = false;
const changed = () => {
  detail.follow();
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
  });
};

if (store) {
  store.subscribe(changed);
  drawn.observe(document.documentElement, { childList: true, characterData: true, subtree: true });
  list.sort("timestamp", true);
  changed();
}
