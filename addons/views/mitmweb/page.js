// Newest first: mitmweb's page knows no such setting, but two clicks on the head of its start time column do it.
// They are made once, as soon as the column is there; after that the order is the reader's.

const sorting = new MutationObserver(() => {
  if (document.querySelector("th.col-timestamp")) {
    sorting.disconnect();
    document.querySelector("th.col-timestamp").click();
    setTimeout(() => document.querySelector("th.col-timestamp").click());
  }
});
sorting.observe(document.documentElement, { childList: true, subtree: true });
