"""A real browser without a window, for pages that the library writes."""

import base64
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
_FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --hide-scrollbars --force-device-scale-factor=1"""


def missing():
    """Why there is no browser, or an empty text."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed"
    return "" if CHROMIUM.exists() and DRIVER.exists() else "chromium and chromedriver are not installed"


def running(folder):
    """For a fixture: a browser with its profile in ``folder``, closed at the end."""
    if missing():
        pytest.skip(missing())
    browser = Browser(folder)
    yield browser
    browser.close()


class Browser:
    """``driver`` is selenium's; logs are read since the last look."""

    def __init__(self, folder):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in (*_FLAGS.split(), f"--user-data-dir={folder}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.folder = folder
        self.driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
        self.driver.set_script_timeout(30)

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.folder, ignore_errors=True)

    def open(self, path, width=1280, height=1000, dark=False):
        """Open a file and wait until its pictures are decoded."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(Path(path).as_uri())
        self.run_later("Promise.all([...pictures.heart, ...pictures.field].map((image) => image.decode()))")
        return self

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def run_later(self, promise):
        """Wait for a promise, then for the next picture on the screen."""
        self.driver.execute_async_script(
            f"const done = arguments[0]; ({promise}).then(() => requestAnimationFrame(() => done()), done);"
        )

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def click(self, selector):
        self.run("document.querySelector(arguments[0]).click()", selector)

    def canvas(self):
        """The canvas's pixels, uint8 ``[rows, columns, 3]``."""
        from PIL import Image

        url = self.run("return document.getElementById('canvas').toDataURL('image/png')")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))

    def complaints(self):
        """What the browser's console says."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Addresses that pages from files asked for, other than the files themselves and what they hold."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [one["params"] for one in messages if one["method"] == "Network.requestWillBeSent"]
        asked = [one["request"]["url"] for one in sent if one["documentURL"].startswith("file:")]
        return [url for url in asked if not url.startswith(("data:", "file:"))]
