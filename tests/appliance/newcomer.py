#!/usr/bin/env python3
"""Does what the README tells a newcomer, word for word, on a booted machine, and looks at what the newcomer sees.

    newcomer.py --leader PID --package PATH --logs DIR

Every command and every TOML of the sections in SECTIONS is taken from README.md as it stands there, in its
order, and given to a user who is not root (`sudo` is there where the README says it). The machine's network has
what the README speaks of: a Modbus device at 192.168.1.50:502 (pymodbus) and a broker called broker.example
(mosquitto). A command that this test does not know fails it: it has to learn what one should see.
"""
import argparse
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from walk import Walk, fail, ok

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = ["Install", "The first twin in five minutes"]
ENDLESS = re.compile(r"(gatewayctl watch|mosquitto_sub) ")
PLANT = {"lines": [{"name": "boiler", "host": "192.168.1.50", "tcp": 502, "units": [{"unit": 1, "points": [
    {"at": 0, "type": "i16", "kind": "served", "mean": 412},
    {"at": 1, "type": "i16", "kind": "set", "value": 450}]}]}]}


def steps(readme):
    """What the sections tell to do: ("file", path, text) and ("run", command)."""
    for name in SECTIONS:
        section = re.search(rf"^## {name}\n(.*?)(?=^## )", readme, re.M | re.S)
        section or fail(f"README.md has no section {name!r}")
        path = None
        for line in re.finditer(r"^```(\w*)\n(.*?)^```$|^([^\n]*)$", section[1], re.M | re.S):
            language, block, prose = line.groups()
            if block is None:
                named = re.findall(r"`(/etc/\S+\.toml)`", prose)
                path = named[0] if named else path
            elif language == "toml":
                named = re.match(r"# (/etc/\S+\.toml)\n", block)
                yield "file", named[1] if named else path or fail("a TOML block names no file"), block
            else:
                for command in filter(None, map(str.strip, block.splitlines())):
                    yield "run", command


def expect_install(see, _):
    see.status(0)
    see.no("Continue?", "apt asks")


def expect_service(see, _):
    see.status(0)
    see.has("active (running)")
    see.has("IoT gateway")


def expect_group(see, walk):
    see.status(0)
    see.silent()
    walk.run("gatewayctl twins", expect_no_twins)


def expect_no_twins(see, _):
    see.status(0)
    see.has("There are no twins yet")
    see.has("gatewayctl reload")


def expect_check(see, _):
    see.status(0)
    see.has("1 device on 1 line")
    see.no("error", "check finds an error")


def expect_reload(see, walk):
    see.status(0)
    see.matches("added.*cloud" if walk.linked else r"added.*(boiler-1|192\.168\.1\.50)", "what was added")


def expect_twins(see, _):
    see.status(0)
    for word in ["boiler-1", "water/temperature", "water/setpoint", "Cel"]:
        see.has(word)
    see.matches(r"water/temperature +\d\d\.\d +Cel +good", "the temperature with unit and quality")
    see.matches(r"water/setpoint +45(\.0)? +Cel +good", "the setpoint with unit and quality")


def expect_watch(see, _):
    values = set(re.findall(r"water/temperature (\d\d\.\d) Cel", see.output))
    len(values) >= 3 or see.fail(f"watch shows {len(values)} different temperatures")


def expect_why(see, _):
    see.status(0)
    see.has("boiler-1/water/temperature")
    see.matches(r"answer +01 03 04 [0-9a-f ]{11}\n", "the bytes")
    see.matches(r"decoded +as i16, scale 0\.1: \d\d\.\d, good", "the decoding")
    see.matches(r"next attempt +in \d", "the next attempt")


def expect_set(see, walk):
    see.status(0)
    for stage in ["accepted", "sent", "confirmed"]:
        see.has(stage)
    wrote = [entry["wrote"] for entry in walk.requests() if "wrote" in entry]
    wrote == [[550]] or see.fail(f"the device was written {wrote}")


def expect_messages(see, _):
    messages = [line.split(" ", 1) for line in see.output.splitlines() if " " in line]
    topics = {topic for topic, _ in messages}
    for end in ["/status", "/twins/boiler-1/description", "/twins/boiler-1/lifecycle", "/twins/boiler-1/state/water",
                "/twins/boiler-1/stream"]:
        any(topic.endswith(end) for topic in topics) or see.fail(f"no message on a topic that ends with {end}")
    states = [json.loads(text) for topic, text in messages if topic.endswith("/state/water")]
    shown = states[-1]["properties"]
    shown["setpoint"]["value"] == 55 or see.fail(f"the setpoint is not 55 in {shown}")
    41 < shown["temperature"]["value"] < 60 or see.fail(f"no temperature in {shown}")
    shown["temperature"]["unit"] == "Cel" or see.fail(f"no unit in {shown}")
    len(states) >= 3 or see.fail(f"only {len(states)} states in six seconds")
    print(f"  the subscriber has {len(messages)} messages on {len(topics)} topics")


# What a newcomer should see after each command of the README, and how long it may take until it looks so.
KNOWN = [
    (r"sudo apt install \./target/debian/gatewayd_\*_amd64\.deb$", expect_install, 0),
    (r"systemctl status gatewayd$", expect_service, 0),
    (r'sudo usermod -aG gatewayd "\$USER"$', expect_group, 0),
    (r"gatewayctl check$", expect_check, 0),
    (r"gatewayctl reload$", expect_reload, 0),
    (r"gatewayctl twins$", expect_twins, 5),
    (r"gatewayctl watch boiler-1$", expect_watch, 0),
    (r"gatewayctl why boiler-1/water/temperature$", expect_why, 0),
    (r"gatewayctl set boiler-1/water/setpoint 55 --wait$", expect_set, 0),
    (r"mosquitto_sub -h broker\.example -v -t 'gatewayd/#'$", expect_messages, 0),
]


def follow(walk):
    """The README from top to bottom."""
    done = 0
    for kind, *what in steps((ROOT / "README.md").read_text()):
        if kind == "file":
            write(walk, *what)
            continue
        command = what[0].split("#", 1)[0].strip() if "'" not in what[0] else what[0]
        if command == "make deb":  # the package is here: the stage before made it by this very command
            "\ndeb:" in (ROOT / "Makefile").read_text() or fail("the Makefile has no target deb")
            continue
        known = [(look, patience) for pattern, look, patience in KNOWN if re.match(pattern, command)]
        known or fail(f"README.md says `{command}`: this test does not know what one should see then")
        if command.startswith("sudo usermod"):
            outsiders_are_told(walk, command)
        walk.run(what[0], *known[0], endless=6 if ENDLESS.match(command) else 0)
        done += 1
    done >= len(KNOWN) or fail(f"README.md has only {done} of {len(KNOWN)} commands")
    ok(f"the README works as it stands, by a user who is not root: {done} commands")


def write(walk, path, text):
    """Adds the text to the file as an editor would; a first mistake in it is told by name and place."""
    new = walk.quietly(f"test -e {path}") != 0
    walk.put(path, text, append=not new)
    walk.linked = "[link." in text
    if new:
        typo(walk, path, text)


def typo(walk, path, text):
    """The same file with a slip of the finger."""
    line = 1 + text.splitlines().index('address = "holding:0"           # or "40001"')
    walk.put(path, text.replace('address = "holding:0"', 'adress = "holding:0"', 1))

    def look(see, _):
        see.status(1)
        see.has(f"{path}:{line}:1")
        see.has("did you mean `address`?")
    walk.run("gatewayctl check", look)
    walk.run("gatewayctl reload", look)
    walk.put(path, text)
    ok("a typo is told with file, line, column and the key that was meant, by check and by reload")


def outsiders_are_told(walk, command):
    """Who is not in the group yet is told the very words of the README."""
    def look(see, _):
        see.status(77)
        see.has(command)
        see.has("log in again")
    walk.run("gatewayctl twins", look)
    ok("who is not in the group is told how to join")


def stumbles(walk):
    """What else a first evening brings."""
    def unreadable(see, _):
        see.status(1)
        see.has("/etc/gatewayd/devices.d/mine.toml")
        see.has("sudo chmod a+r /etc/gatewayd/devices.d/mine.toml")
    walk.put("/etc/gatewayd/devices.d/mine.toml", "# nothing yet\n", mode="600")
    walk.run("gatewayctl check", unreadable)
    walk.run("gatewayctl reload", unreadable)
    walk.sudo("rm /etc/gatewayd/devices.d/mine.toml")
    ok("a file that the daemon may not read is told with what to do")

    def unknown(see, _):
        see.status(1)
        see.has("boiler-1")
    walk.run("gatewayctl why boiler1", unknown)

    def refused(see, _):
        see.status(1)
        see.has("20 to 80")
    walk.run("gatewayctl set boiler-1/water/setpoint 90 --wait", refused)
    ok("a wrong twin and a wrong value are told with what would be right")

    def broken(see, _):
        see.status(78)
        see.has("did you mean `name`?")
    walk.sudo("sed -i.good 's/^name =/nmae =/' /etc/gatewayd/gatewayd.toml")
    walk.run("gatewayctl check", broken)
    walk.sudo("mv /etc/gatewayd/gatewayd.toml.good /etc/gatewayd/gatewayd.toml")

    def stopped(see, _):
        see.status(69)
        see.has("gatewayd does not run")
        see.has("sudo systemctl start gatewayd")
    walk.sudo("systemctl stop gatewayd")
    walk.run("gatewayctl twins", stopped)
    walk.run("sudo systemctl start gatewayd", lambda see, _: see.status(0))
    walk.run("gatewayctl twins", lambda see, _: (see.status(0), see.has("boiler-1")), 10)
    ok("a daemon that does not run is told with how to start it")


def main():
    arguments = argparse.ArgumentParser()
    for name in ["leader", "package", "logs"]:
        arguments.add_argument(f"--{name}", required=True)
    arguments = arguments.parse_args()
    log = Path(arguments.logs) / "plant.jsonl"
    walk = Walk(arguments.leader, log)
    walk.root("useradd --create-home --shell /bin/bash ada",
              "echo 'ada ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ada",
              "ip address add 192.168.1.50/32 dev lo",
              'echo "127.0.0.1 broker.example $(hostname)" >>/etc/hosts',
              "systemctl start mosquitto",
              f"install -D -o ada {arguments.package} /home/ada/target/debian/$(basename {arguments.package})")
    plan = Path(arguments.logs) / "plan.json"
    plan.write_text(json.dumps(PLANT | {"log": str(log)}))
    plant = subprocess.Popen(["nsenter", "-t", arguments.leader, "-n", "--", sys.executable,
                              ROOT / "tests/peers/modbus_plant.py", plan], stdout=subprocess.PIPE, text=True)
    try:
        plant.stdout.readline() or fail("the plant did not start")
        begin = time.monotonic()
        follow(walk)
        print(f"  from the package to the broker in {time.monotonic() - begin:.0f} s")
        stumbles(walk)
    finally:
        plant.send_signal(signal.SIGTERM)
        plant.wait(10)


if __name__ == "__main__":
    main()
