"""In a Turkish locale the small letter of "I" is no "i": words of the protocol are compared without the locale."""
import os
import subprocess

import pytest

from library.drive import Driver


@pytest.fixture
def turkish(tmp_path, monkeypatch):
    made = subprocess.run(["localedef", "-i", "tr_TR", "-f", "ISO-8859-9", str(tmp_path / "tr_TR")],
                          capture_output=True, check=False)
    if not os.path.isdir(tmp_path / "tr_TR"):
        pytest.skip(f"this system has no Turkish locale: {made.stderr}")
    monkeypatch.setenv("LOCPATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "tr_TR")
    driver = Driver()
    yield driver
    driver.finish()


def test_subscriptions_in_a_turkish_locale(turkish, hostile):
    def handler(connection, number):
        connection.request()
        connection.send(b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n")
        connection.wait_closed()

    turkish(f"connect {hostile(handler).url}")
    turkish("submit s subscribe a")
    assert turkish("loop 3 READY") == ['push ["subscribe" "a" :1]', 'callback s OK ["subscribe" "a" :1]',
                                       'push ["message" "a" "x"]']


def test_schemes_in_a_turkish_locale(turkish, tmp_path):
    assert turkish(f"connect UNIX://{tmp_path}/none").startswith("IO FAILED connect to ")
