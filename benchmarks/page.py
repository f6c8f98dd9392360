"""Time a page of `vaefast explore` in headless Chromium.

    vaefast explore runs/portraits --data portraits/ --no-open --out page.html
    python -m benchmarks.page page.html

A pointer moves over the map for 300 frames, and each move develops a picture. The figures are the
size of the file; the milliseconds from the start to the first paint, and until the page has loaded;
the median time from frame to frame, which is 16.7 ms at 60 frames per second; and the CPU time of
the page's thread per frame, which does not depend on other programs. It needs selenium, Chromium
and chromedriver.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import click
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

FRAMES = 300
OPTIONS = "--headless --no-sandbox --disable-gpu --no-first-run --window-size=1280,900"
PAINTED = """
const paint = performance.getEntriesByName("first-contentful-paint")[0];
return [paint.startTime, performance.getEntriesByType("navigation")[0].loadEventEnd];
"""
MOVE = """
const [frames, done] = arguments, map = document.getElementById("pointer");
const box = map.getBoundingClientRect(), times = [];
let last = performance.now();
function frame() {
  const now = performance.now(), i = times.push(now - last);
  last = now;
  const at = {clientX: box.left + 3 * i % box.width, clientY: box.top + 5 * i % box.height};
  map.dispatchEvent(new PointerEvent("pointermove", {...at, bubbles: true, pointerType: "mouse"}));
  if (i < frames) requestAnimationFrame(frame);
  else done(times.sort((a, b) => a - b)[frames >> 1]);
}
requestAnimationFrame(frame);
"""


@click.command()
@click.argument("page", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(page: Path) -> None:
    """Time the page of a model."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for option in OPTIONS.split():
        options.add_argument(option)
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        driver.set_script_timeout(300)
        driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        driver.get(page.resolve().as_uri())
        first, loaded = driver.execute_script(PAINTED)
        began = _cpu_seconds(driver)
        median = driver.execute_async_script(MOVE, FRAMES)
        spent = _cpu_seconds(driver) - began
    finally:
        driver.quit()
    figures = {
        "megabytes": round(page.stat().st_size / 1e6, 1),
        "first_paint_ms": round(first),
        "loaded_ms": round(loaded),
        "frame_ms": round(median, 1),
        "cpu_ms_per_frame": round(1000 * spent / FRAMES, 1),
    }
    click.echo(json.dumps(figures))


def _cpu_seconds(driver: Any) -> float:
    """Return the CPU time that the page's thread has spent on tasks."""
    metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return float(next(item["value"] for item in metrics if item["name"] == "TaskDuration"))


if __name__ == "__main__":
    main()
