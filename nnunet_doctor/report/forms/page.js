"use strict";
for (const block of document.querySelectorAll("pre")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = document.body.dataset.copy;
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", () => {
    const range = document.createRange();
    range.selectNodeContents(block);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    const done = () => { button.textContent = document.body.dataset.copied; };
    const byHand = () => { if (document.execCommand("copy")) { done(); } };
    if (navigator.clipboard) {
      navigator.clipboard.writeText(block.textContent).then(done, byHand);
    } else {
      byHand();
    }
    setTimeout(() => { button.textContent = document.body.dataset.copy; }, 2000);
  });
  block.insertAdjacentElement("afterend", button);
}
