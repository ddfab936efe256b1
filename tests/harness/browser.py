"""A page in Chromium without a screen: what it drew, what it complained about, what it asked the network for.

Entry: Browser, Page. Speaks the DevTools protocol over a pair of pipes, so that neither a port nor a driver is needed.
Each browser has a profile of its own that is gone afterwards.
"""
import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading

PROGRAMS = ("chromium-headless-shell", "chromium")
ANSWER_TIMEOUT_S = 60


class Browser:
    """A running browser: `with Browser() as browser: page = browser.open(path)`."""

    def __init__(self):
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if not program:
            raise RuntimeError("no Chromium: run dev/setup test")
        self.profile = tempfile.mkdtemp(prefix="skua-browser-")
        command_in, self._out = os.pipe()
        self._in, command_out = os.pipe()
        # The browser reads from descriptor 3 and writes to 4. The sandbox does not work for root nor in containers; what
        # is opened here is our own page.
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", f'exec "$@" 3<&{command_in} 4>&{command_out}', "bash", program, "--headless", "--no-sandbox",
             "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", f"--user-data-dir={self.profile}",
             "--remote-debugging-pipe", "about:blank"],
            pass_fds=(command_in, command_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(command_in)
        os.close(command_out)
        self._answered = threading.Condition()
        self._answers, self._events, self._closed, self._number = {}, [], False, 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with open(self._in, "rb", closefd=False) as pipe:
            rest = b""
            while data := pipe.read1(1 << 16):
                *messages, rest = (rest + data).split(b"\0")
                with self._answered:
                    for message in map(json.loads, messages):
                        if "id" in message:
                            self._answers[message["id"]] = message
                        else:
                            self._events.append(message)
                    self._answered.notify_all()
        with self._answered:
            self._closed = True
            self._answered.notify_all()

    def call(self, method, session=None, **parameters):
        """One call of the protocol; its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        number = self._number
        with self._answered:
            assert self._answered.wait_for(lambda: number in self._answers or self._closed, ANSWER_TIMEOUT_S), \
                f"{method}: no answer"
            assert number in self._answers, f"the browser left during {method}"
            answer = self._answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def events(self, session, *methods):
        """Parameters of what has happened so far in a page."""
        with self._answered:
            return [event["params"] for event in self._events
                    if event["method"] in methods and event.get("sessionId") == session]

    def wait_event(self, session, method):
        with self._answered:
            assert self._answered.wait_for(
                lambda: any(event["method"] == method and event.get("sessionId") == session for event in self._events),
                ANSWER_TIMEOUT_S), f"{method} did not come"

    def open(self, path, width=1200, height=900, dark=False):
        """Loads a file at a window size, in the light or the dark scheme."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable", session)
        page.resize(width, height)
        self.call("Emulation.setEmulatedMedia", session,
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Page.navigate", session, url=pathlib.Path(path).resolve().as_uri())
        self.wait_event(session, "Page.loadEventFired")
        return page

    def close(self):
        os.close(self._out)  # it leaves when nobody can command it any more
        try:
            self.process.wait(timeout=ANSWER_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._reader.join()
        os.close(self._in)
        shutil.rmtree(self.profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Page:
    """One loaded page."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def resize(self, width, height):
        self.browser.call("Emulation.setDeviceMetricsOverride", self.session, width=width, height=height,
                          deviceScaleFactor=1, mobile=width < 600)

    def evaluate(self, script):
        """The value of an expression; promises are awaited."""
        result = self.browser.call("Runtime.evaluate", self.session, expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def settle(self):
        """Until what was asked for has been laid out and drawn: two frames."""
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def complaints(self):
        """Errors and warnings of scripts and of the browser itself."""
        thrown = self.browser.events(self.session, "Runtime.exceptionThrown")
        said = [event for event in self.browser.events(self.session, "Runtime.consoleAPICalled")
                if event["type"] in ("error", "warning", "assert")]
        logged = [event for event in self.browser.events(self.session, "Log.entryAdded")
                  if event["entry"]["level"] in ("error", "warning")]
        return thrown + said + logged

    def requests(self):
        """Addresses of everything that the page asked for, itself included."""
        return [event["request"]["url"] for event in self.browser.events(self.session, "Network.requestWillBeSent")]

    def screenshot(self, path):
        """The whole page, as PNG."""
        data = self.browser.call("Page.captureScreenshot", self.session, format="png", captureBeyondViewport=True)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))
