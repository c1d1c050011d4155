"use strict";
(() => {
  const filter = document.querySelector(".filter");
  const open = () => {
    const at = document.getElementById(location.hash.slice(1));
    const file = at && at.closest("details.file");
    if (file) {
      file.open = true;
      at.scrollIntoView();
    }
  };
  addEventListener("hashchange", open);
  open();
  if (!filter) return;
  filter.hidden = false;
  const search = document.getElementById("search");
  const work = document.getElementById("work");
  const formats = [...filter.querySelectorAll("[name=format]")];
  const files = [...document.querySelectorAll("details.file")].map((section) => ({
    section,
    row: document.querySelector(`tr[data-file="${section.dataset.file}"]`),
    text: section.textContent.toLowerCase(),
  }));
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(formats.filter((box) => box.checked).map((box) => box.value));
    let shown = 0;
    for (const { section, row, text } of files) {
      const is =
        wanted.has(section.dataset.format) &&
        (!work.checked || section.dataset.work === "1") &&
        words.every((word) => text.includes(word));
      section.hidden = row.hidden = !is;
      shown += is;
    }
    document.getElementById("shown").value = `${shown} of ${files.length} files`;
  };
  filter.addEventListener("input", show);
  show();
})();
