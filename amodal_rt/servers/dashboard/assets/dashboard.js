// A run's journal as it happens. Everything else on these pages works without this file.
"use strict";

const journal = document.getElementById("journal");
const live = document.getElementById("live");
const told = new Map();

if (journal && journal.dataset.stream) follow(new EventSource(journal.dataset.stream));

function follow(source) {
  source.addEventListener("open", () => {
    live.textContent = "Live: new entries appear as they are written.";
  });

  source.addEventListener("step", (event) => {
    // Made, and escaped, by the same template as the rows that are there.
    journal.insertAdjacentHTML("beforeend", JSON.parse(event.data).html);
  });

  source.addEventListener("run", (event) => {
    const news = JSON.parse(event.data);
    for (const [name, html] of Object.entries(news.parts)) replace(name, html, news.ended);
    if (!news.ended) return;
    // The stream has said all: a browser would ask for it again and again.
    source.close();
    live.textContent = news.status;
  });

  source.addEventListener("error", () => {
    live.textContent =
      source.readyState === EventSource.CLOSED
        ? "No longer live. Load the page again to go on."
        : "The connection was lost; trying again.";
  });
}

function replace(name, html, ended) {
  const part = document.getElementById(name);
  // Whoever writes into a form is left alone, as long as there is something to answer.
  const writes = part.contains(document.activeElement) && !ended;
  if (told.get(name) === html || writes) return;
  part.innerHTML = html;
  told.set(name, html);
}
