// The choice of a variant: shows what is of it, `data-variant`, and hides what is of others.
(() => {
  "use strict";
  const chooser = document.getElementById("variant");
  if (!chooser) return;
  const parts = document.querySelectorAll("[data-variant]");
  const show = () => {
    for (const part of parts) part.hidden = part.dataset.variant !== chooser.value;
  };
  chooser.addEventListener("change", show);
  chooser.closest(".chooser").hidden = false;
  show(); // a page that is opened again may keep its choice
})();
