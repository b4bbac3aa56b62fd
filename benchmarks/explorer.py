"""How quick the explorer is in Chromium: the first picture of a cold server, and the frames of the playground.

python -m benchmarks.explorer
"""

import contextlib
import os
import platform
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, ViewportSize

from tests.support.browser import chromium
from tests.support.servers import Server, serving

MODELS = Path(__file__).parents[1] / "models"
GENERATORS = ("mnist", "fashion-mnist", "mnist-paper", "digits")
VIEWPORT: ViewportSize = {"width": 1280, "height": 800}
DRAG_SECONDS = 2.0
_FIRST_PICTURE = "() => { const image = document.querySelector('.card img'); return image && image.naturalWidth > 0; }"
# Counts the frames that the playground draws on its large picture, and its requests in flight.
_COUNT = """() => {
  const large = document.querySelector('.plane > canvas').getContext('2d');
  const draw = large.putImageData.bind(large);
  [window.frames_, window.greatest, window.inFlight] = [0, 0, 0];
  large.putImageData = (...values) => { window.frames_++; draw(...values); };
  const send = window.fetch;
  window.fetch = (path, ...options) => {
    if (!String(path).includes('latents')) return send(path, ...options);
    window.greatest = Math.max(window.greatest, ++window.inFlight);
    return send(path, ...options).finally(() => { window.inFlight--; });
  };
}"""
# Moves the pointer at each animation frame of the page, as a mouse does, and not at the pace of the test program.
_DRAG = """(seconds) => new Promise((resolve) => {
  const pad = document.querySelector('.pad');
  const box = pad.getBoundingClientRect();
  pad.setPointerCapture = () => {};
  pad.hasPointerCapture = () => true;
  const start = performance.now();
  const step = (now) => {
    const [x, y] = [Math.cos, Math.sin].map((wave) => 0.5 + 0.4 * wave((now - start) / 300));
    pad.dispatchEvent(new PointerEvent('pointermove', {
      pointerId: 1, clientX: box.left + box.width * x, clientY: box.top + box.height * y }));
    if (now - start < 1000 * seconds) requestAnimationFrame(step);
    else resolve([window.frames_ / seconds, window.greatest]);
  };
  requestAnimationFrame(step);
})"""


def first_view(browser: Browser, server: Server) -> str:
    """Return the time to the first picture of the gallery, its CPU time, and the number of requests until then."""
    page = browser.new_page(viewport=VIEWPORT)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    both, of_server = psutil.Process(), psutil.Process(server.process.pid)
    before, server_before = cpu_seconds(both), cpu_seconds(of_server)
    began = time.perf_counter()
    page.goto(server.url, wait_until="commit")
    page.wait_for_function(_FIRST_PICTURE)
    seconds = time.perf_counter() - began
    server_cpu = cpu_seconds(of_server) - server_before
    browser_cpu = cpu_seconds(both) - before - server_cpu
    count = sum(not url.startswith(("blob:", "data:")) for url in requests)
    page.wait_for_load_state("networkidle")
    page.close()
    cost = f"{1000 * server_cpu:.0f} ms CPU of the server and {1000 * browser_cpu:.0f} ms of the browser"
    return f"{1000 * seconds:.0f} ms, {cost}, {count} requests until then"


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process and its children, which change during a run of the program."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            total += times.user + times.system
    return total


def playground(page: Page, server: Server, name: str) -> str:
    """Return frames per second while the pointer moves, CPU time of a frame, and the greatest number of requests in flight."""
    page.goto(f"{server.url}/#/models/{name}?view=plane")
    page.reload()
    page.wait_for_load_state("networkidle")
    page.evaluate(_COUNT)
    server_process = psutil.Process(server.process.pid)
    all_before, server_before = cpu_seconds(psutil.Process()), cpu_seconds(server_process)
    rate, greatest = page.evaluate(_DRAG, DRAG_SECONDS)
    frames = max(1, rate * DRAG_SECONDS)
    of_server = (cpu_seconds(server_process) - server_before) * 1000 / frames
    of_browser = (cpu_seconds(psutil.Process()) - all_before) * 1000 / frames - of_server
    cost = f"{of_server:.1f} ms CPU of the server and {of_browser:.1f} ms of the browser for a frame"
    return f"{rate:.0f} frames/s while dragging, {cost}, at most {greatest} requests in flight"


def main() -> None:
    """Print the figures."""
    load = os.getloadavg()[0]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, load average {load:.1f} before the run")
    with chromium() as browser:
        browser.new_page().close()  # the start of the browser is no part of the figures
        with serving(MODELS) as server:
            print(f"first picture after the start of the server: {first_view(browser, server)}")
            print(f"first picture, second visitor: {first_view(browser, server)}")
            page = browser.new_page(viewport=VIEWPORT)
            for name in GENERATORS:
                print(f"playground of {name}: {playground(page, server, name)}")


if __name__ == "__main__":
    main()
