"""Pages in a headless Chromium: how it is started, on which screens, and how legible they are."""

import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
WIDE, PHONE = {"width": 1200, "height": 900}, {"width": 360, "height": 740}
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium to open a page in"
)

# Of every text that can be seen: its element, and its contrast with what is behind it.
CONTRASTS = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => channels(colour).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    const colour = element ? getComputedStyle(element).backgroundColor
      : getComputedStyle(document.body).backgroundColor;
    return channels(colour)[3] === 0 ? behind(element.parentElement) : colour;
  };
  const written = [...document.body.querySelectorAll("*")].filter((element) =>
    element.checkVisibility() && [...element.childNodes].some((node) =>
      node.nodeType === Node.TEXT_NODE && node.textContent.trim()));
  return written.map((element) => {
    const style = getComputedStyle(element);
    const text = element.matches("svg *") ? style.fill : style.color;
    const [low, high] = [luminance(text), luminance(behind(element))].sort((a, b) => a - b);
    return [element.outerHTML.slice(0, 80), (high + 0.05) / (low + 0.05)];
  });
}"""
