"""Runs commands on a booted machine as a user who is not root, and judges what that user sees."""
import json
import re
import subprocess
import sys
import time


def ok(words):
    print(f"  ok: {words}", flush=True)


def fail(words):
    print(f"  FAILED: {words}", flush=True)
    sys.exit(1)


class Missed(Exception):
    """What was seen is not what should be seen."""


class Seen:
    """How a command ended and what it said."""

    def __init__(self, command, code, output):
        self.command, self.code, self.output = command, code, output

    def fail(self, words):
        raise Missed(f"`{self.command}`: {words}\n--- it ended with {self.code} and said:\n{self.output}---")

    def status(self, code):
        self.code == code or self.fail(f"should end with {code}")

    def has(self, word):
        word in self.output or self.fail(f"does not say {word!r}")

    def no(self, word, why):
        word not in self.output or self.fail(why)

    def silent(self):
        self.output.strip() == "" or self.fail("should say nothing")

    def matches(self, pattern, what):
        re.search(pattern, self.output) or self.fail(f"does not show {what}")


class Walk:
    """A user's evening on the machine whose first process is `leader`."""

    def __init__(self, leader, log):
        self.enter = ["nsenter", "-t", leader, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--",
                      "/usr/bin/env", "-i", "LANG=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        self.log, self.linked = log, False

    def root(self, *commands):
        """Prepares the machine: not the user's work."""
        for command in commands:
            subprocess.run([*self.enter, "sh", "-c", command], check=True)

    def call(self, command, text=None, endless=0):
        """In a fresh log-in: memberships of groups count from there."""
        wait = ["timeout", "--signal=INT", str(endless)] if endless else ["timeout", "120"]
        done = subprocess.run([*self.enter, *wait, "su", "-", "ada", "-c", command], text=True, input=text or "",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout

    def run(self, command, look, patience=0, endless=0):
        """Runs a command and judges it; again until it looks right, where that may take a while."""
        end = time.monotonic() + patience
        while True:
            seen = Seen(command, *self.call(command, endless=endless))
            try:
                return look(seen, self)
            except Missed as missed:
                if time.monotonic() > end:
                    fail(missed)
                time.sleep(0.3)

    def sudo(self, command):
        code, output = self.call(f"sudo {command}")
        code == 0 or fail(f"`sudo {command}` ended with {code}: {output}")

    def quietly(self, command):
        return self.call(command)[0]

    def put(self, path, text, append=False, mode=None):
        """As with an editor under sudo."""
        code, output = self.call(f"sudo tee {'-a' if append else ''} {path} >/dev/null", text)
        code == 0 or fail(f"{path} cannot be written: {output}")
        mode and self.sudo(f"chmod {mode} {path}")

    def requests(self):
        """What the device was asked."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]
