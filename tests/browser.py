"""The real browser, for tests and pictures of the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.daemon import PATIENT
from tests.parts import program

UNWANTED = (
    # Each window would load the browser's own pages for what is typed into its address bar, which
    # is twice the work of the page that is tried, and start one more process to have it ready.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "SpareRendererForSitePerProcess",
    # Of these lists the last one counts: this is what Playwright's has that concerns a page.
    "AimEnabled",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
)
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=" + ",".join(UNWANTED),
)


_kept = ExitStack()
_running: Browser | None = None


@contextmanager
def launch() -> Iterator[Browser]:
    """
    Run the system's Chromium, without a window, and end it afterwards.

    Where one is kept it is this one, which goes on.
    """
    if _running is not None:
        yield _running
        return
    path = program("chromium", "install the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=list(QUIET), timeout=PATIENT * 1000
        )
        try:
            yield browser
        finally:
            browser.close()


def keep() -> Browser:
    """Run it as `launch` does, but until `release` is called: several modules have the same one."""
    global _running
    if _running is None or not _running.is_connected():
        release()
        _running = _kept.enter_context(launch())
    return _running


def release() -> None:
    """End the one that is kept, if there is one."""
    global _running
    _running = None
    _kept.close()
