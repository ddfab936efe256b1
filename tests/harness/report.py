"""A plugin of pytest (`-p tests.harness.report`) that writes each failure down as it happens, so that dev/test knows the names even
of a run that it had to stop. SKUA_FINDINGS names the file: a line of JSON for each, with name, reason and whether it is grave."""
import json
import os
import re

from .server import TROUBLE

# What no second run takes back; threads_answer_reads in tests/integration/conftest.py looks at a whole run.
GRAVE = re.compile(r"the server died|the server left with status|worker '\w+' crashed|no read was answered by an I/O thread")
GROUP = re.compile(r"@[^\[\]]*$")  # what xdist adds to a test's name


def entry(report):
    crash = getattr(report.longrepr, "reprcrash", None)
    text = "\n".join([report.longreprtext, *(content for _, content in report.sections)])
    reason = crash.message if crash else report.longreprtext
    return {"name": GROUP.sub("", report.nodeid), "reason": (reason.splitlines() or [report.outcome])[0],
            "grave": bool(GRAVE.search(text) or TROUBLE.search(text.encode(errors="replace")))}


def pytest_configure(config):
    if hasattr(config, "workerinput"):  # the process that shares the work out hears of everything
        config.pluginmanager.unregister(name="tests.harness.report")


def note(report):
    if report.failed and "SKUA_FINDINGS" in os.environ:
        with open(os.environ["SKUA_FINDINGS"], "a") as file:
            file.write(json.dumps(entry(report)) + "\n")


def pytest_runtest_logreport(report):
    note(report)


def pytest_collectreport(report):
    note(report)
