// The list: our columns in place of mitmweb's, newest first. mitmweb draws only the rows that can be seen; each of them
// gets cells of ours beside its own, which are hidden. React keeps the flow that a row shows in the row's properties.

import { clock, el, one, seconds, short, store } from "./parts.js";

const COLUMNS = [
  ["time", "Time", "timestamp"],
  ["who", "Who", ""],
  ["story", "Story", "comment"],
  ["status", "Status", "status"],
  ["tokens", "Tokens", ""],
  ["took", "Duration", "time"],
]; // ours, its head, and the column of mitmweb's by which it is sorted

const UNSET = "timestamp,comment,status,time"; // mitmweb's columns where nobody has set others: `COLUMNS` in __init__.py

const shown = new WeakMap(); // row → the flow that its cells tell of

const flowOf = (row) => {
  const key = Object.keys(row).find((name) => name.startsWith("__reactProps$"));
  return key && row[key].children?.[0]?.props?.flow;
};

export const draw = () => {
  const table = one(".flow-table table");
  if (!table) return;
  const { options, connection } = store.getState();
  const ours = options.web_columns?.join() === UNSET || /_INIT|_FETCHING/.test(connection.state); // no options yet
  table.classList.toggle("gw-columns", ours);
  if (!ours) return;
  head(table.tHead.rows[0]);
  for (const row of table.tBodies[0].rows) {
    const flow = flowOf(row);
    if (flow && shown.get(row) !== flow) {
      for (const cell of row.querySelectorAll(".gw-cell")) cell.remove();
      row.prepend(...cells(flow));
      row.dataset.quiet = flow.gateway?.state === "well" && !flow.gateway.attempts.length;
      shown.set(row, flow);
    }
  }
};

const head = (row) => {
  if (!one(".gw-cell", row)) {
    row.prepend(...COLUMNS.map(([name, title, by]) => {
      const cell = el("th", `gw-cell gw-${name}`, title);
      if (by) cell.addEventListener("click", () => sort(by));
      cell.dataset.by = by;
      return cell;
    }));
  }
  const { column, desc } = store.getState().flows.sort;
  for (const cell of row.querySelectorAll(".gw-cell")) {
    const mine = cell.dataset.by && cell.dataset.by === column;
    cell.classList.toggle("gw-down", mine && desc);
    cell.classList.toggle("gw-up", mine && !desc);
  }
};

export const sort = (column, down) => {
  const now = store.getState().flows.sort;
  const desc = down ?? (now.column === column ? !now.desc : column !== "comment");
  store.dispatch({ type: "flows/sort", payload: { column, desc } });
};

const cells = (flow) => {
  const row = flow.gateway, started = flow.request?.timestamp_start ?? flow.timestamp_created;
  const made = Object.fromEntries(COLUMNS.map(([name]) => [name, el("td", `gw-cell gw-${name}`)]));
  made.time.append(clock(started));
  made.time.title = new Date(started * 1000).toLocaleString();
  made.story.append(...(row ? story(row, flow) : other(flow)));
  made.story.title = flow.comment || "";
  status(made.status, flow);
  if (row) {
    made.who.append(el("span", "gw-name", row.who), row.account ? el("small", "", row.account) : "");
    made.who.title = [row.who, row.account].filter(Boolean).join(" · ");
    tokens(made.tokens, row);
  }
  took(made.took, flow, started);
  return Object.values(made);
};

const story = (row, flow) => {
  const parts = [];
  if (flow.is_replay) parts.push(el("span", "gw-tag", "replay"), " ");
  if (row.note) parts.push(el("span", "gw-tag", row.note), " ");
  parts.push(el("b", "", row.asked));
  for (const attempt of row.attempts) {
    parts.push(el("i", "gw-arrow", " → "));
    if (!attempt.failed) parts.push(el("span", "gw-to", attempt.to));
    else parts.push(el("span", "gw-lost", el("span", "gw-wide", `${attempt.to.split("/")[0]} `), attempt.failed));
  }
  if (row.error) parts.push(" ", el("span", "gw-error", row.error));
  return parts;
};

const other = (flow) => {
  const request = flow.request;
  if (flow.type !== "http") return [flow.type];
  return [el("span", "gw-to", `${request.method} ${request.scheme}://${request.pretty_host}${request.path}`)];
};

const status = (cell, flow) => {
  const code = flow.response?.status_code, state = flow.gateway?.state;
  if (flow.error && !code) cell.append(el("span", "gw-badge gw-failed", "cut"));
  else if (state === "running") cell.append(el("span", "gw-badge gw-running", code ?? "asks"));
  else if (code) {
    const bad = code >= 400 || state === "failed";
    cell.append(el("span", `gw-badge ${bad ? "gw-failed" : state === "elsewhere" ? "gw-elsewhere" : "gw-well"}`, String(code)));
  }
};

const tokens = (cell, row) => {
  if (!row.tokens_in && !row.tokens_out) return;
  cell.append(short(row.tokens_in), el("i", "gw-arrow", " / "), short(row.tokens_out));
  const cost = row.cost == null ? "" : `, $${row.cost.toFixed(4)}`;
  cell.title = `${row.tokens_in} in (${row.tokens_cached} cached), ${row.tokens_out} out${cost}`;
};

const took = (cell, flow, started) => {
  const end = flow.response?.timestamp_end ?? flow.error?.timestamp;
  if (flow.gateway?.state === "running") cell.dataset.since = started;
  else if (flow.gateway) cell.append(seconds(flow.gateway.seconds));
  else if (end) cell.append(seconds(end - started));
  if (flow.gateway?.first != null) cell.title = `${seconds(flow.gateway.first)} to the first event`;
};

const tick = () => {
  for (const cell of document.querySelectorAll(".flow-table td[data-since]"))
    cell.textContent = seconds(Math.max(0, Date.now() / 1000 - cell.dataset.since));
};
setInterval(tick, 500);
