#!/usr/bin/env python3
"""The demo: a simulated plant, a broker, and gatewayd with the configuration that it ships.

    demo.py --binary GATEWAYD [--seconds SECONDS]

With --seconds it ends by itself with status 0 and a summary; without, on Ctrl-C.
Everything happens on 127.0.0.1 and in a folder of its own; everything that it starts it ends.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import plan

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / "tests" / "peers"
GATEWAY = "gateway-1"
COLOUR = sys.stdout.isatty()


def say(words):
    print(f"\n\033[1m{words}\033[0m" if COLOUR else f"\n## {words}", flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Demo:
    def __init__(self, binary, seconds, folder):
        self.binary = pathlib.Path(binary).resolve()
        self.seconds, self.folder = seconds, pathlib.Path(folder)
        self.begin = time.monotonic()
        self.started = []
        self.cut = False

    def start(self, name, command):
        log = open(self.folder / f"{name}.log", "w")
        # A group of its own: Ctrl-C is for the demo, which then ends the others in order.
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log, start_new_session=True)
        self.started.append((name, process))
        return process

    def said(self, name, key, seconds=20):
        """The value of `key` in the first JSON line that a program printed."""
        path, end = self.folder / f"{name}.log", time.monotonic() + seconds
        while time.monotonic() < end:
            for line in path.read_text().splitlines():
                if line.startswith("{") and key in (found := json.loads(line)):
                    return found[key]
            time.sleep(0.05)
        sys.exit(f"{name} did not start:\n{path.read_text()}")

    def peer(self, name, script, *arguments):
        return self.start(name, [sys.executable, PEERS / script, *arguments])

    def stop(self, name):
        for known, process in self.started:
            if known == name and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def stop_all(self):
        for name, _ in reversed(self.started):
            self.stop(name)

    def ctl(self, *words, show=True):
        if show:
            print(f"$ gatewayctl {' '.join(words)}", flush=True)
        environment = {**os.environ, "GATEWAYD_SOCKET": str(self.folder / "control.sock")}
        done = subprocess.run([self.binary, "ctl", *words], env=environment, text=True,
                              capture_output=True)
        if show:
            print((done.stdout + done.stderr).rstrip(), flush=True)
        return done

    def configure(self, broker):
        """The shipped configuration with its examples switched on and our addresses in their place."""
        shipped = (ROOT / "etc" / "gatewayd.toml").read_text()
        shutil.copytree(ROOT / "etc" / "profiles", self.folder / "etc" / "profiles")
        devices = self.folder / "etc" / "devices.d"
        devices.mkdir()
        text = switch_on(shipped, "store", {"dir": f'"{self.folder}/store"'})
        text = switch_on(text, "control", {"socket": f'"{self.folder}/control.sock"'})
        text = switch_on(text, "line.bus-1", {
            "serial": f'"{self.folder}/bus"', "baud": "19200", "parity": '"none"',
            "timeout": '"200ms"'})
        text = switch_on(text, "link.cloud", {"url": f'"mqtt://127.0.0.1:{broker}"'})
        (self.folder / "etc" / "gatewayd.toml").write_text(text)
        for file in (ROOT / "etc" / "devices.d").glob("*.toml.example"):
            if file.name == "roof.toml.example":
                continue  # the plant has no inverter
            text = file.read_text()
            text = re.sub(r'tcp = "[^"]*"', f'tcp = "127.0.0.1:{self.ports["pump"]}"', text)
            text = text.replace('units = "1-32"', f'units = "2-{max(plan.UNITS)}"')
            (devices / file.name.removesuffix(".example")).write_text(text)

    def up(self):
        say("A plant: a pump drive on Modbus TCP (pymodbus), energy meters on a serial line, unit "
            f"{plan.DEAD} of them dead")
        (self.folder / "plan.json").write_text(json.dumps(
            {"log": str(self.folder / "plant.jsonl"), "lines": plan.lines(str(self.folder / "bus"))}))
        self.peer("plant", "modbus_plant.py", self.folder / "plan.json")
        self.ports = self.said("plant", "ready")
        broker = free_port()
        (self.folder / "broker.conf").write_text(
            f"listener {broker} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
        self.start("broker", ["mosquitto", "-c", self.folder / "broker.conf"])
        self.peer("subscriber", "sink.py", "--port", broker, "--out", self.folder / "got.jsonl")
        self.said("subscriber", "subscribed")
        self.peer("uplink", "faultproxy.py", "listen:0", f"connect:{broker}")
        print(f"mosquitto on 127.0.0.1:{broker}; the gateway reaches it through an uplink that can be cut")
        self.configure(self.said("uplink", "ready"))

        say("gatewayd with the configuration that it ships; only addresses are replaced")
        for file in sorted((self.folder / "etc").rglob("*.toml")):
            if "profiles" not in file.parts:
                print(f"  {file.relative_to(self.folder)}")
        config = str(self.folder / "etc" / "gatewayd.toml")
        if self.ctl("check", "--config", config).returncode != 0:
            sys.exit("the shipped configuration is broken")
        self.start("gatewayd", [self.binary, "--config", config])
        self.until(lambda: self.ctl("status", show=False).returncode == 0, 20, "gatewayd answers")

    def until(self, true, seconds, what):
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                print((self.folder / "gatewayd.log").read_text())
                sys.exit(f"not within {seconds} s: {what}")
            time.sleep(0.1)

    def uplink(self, way):
        with socket.create_connection(("127.0.0.1", self.said("uplink", "control"))) as s:
            s.sendall(json.dumps({"way": way}).encode() + b"\n")
            s.recv(4096)

    def readings(self):
        if not (self.folder / "got.jsonl").exists():
            return 0
        with open(self.folder / "got.jsonl") as file:
            return sum('/stream"' in line for line in file)

    def acknowledged(self):
        """Whether the subscriber saw the alarm raised, and then acknowledged."""
        states = []
        with open(self.folder / "got.jsonl") as file:
            for line in file:
                if '/pump-7/events"' in line and line.endswith("\n"):
                    states.append(json.loads(line)["payload"]["state"])
        return ["active"] in states and ["active", "acknowledged"] in states

    def wait_until(self, part):
        """Waits until this part of the time is over."""
        end = self.begin + part * (self.seconds or 30)
        time.sleep(max(0, end - time.monotonic()))

    def show(self):
        live = lambda: "shadowed" in self.ctl("twins", "pump-7", show=False).stdout
        self.until(live, 20, "the pump is in step with its twin")
        time.sleep(2)
        say("The twins, live")
        self.ctl("twins")
        say(f"Why unit {plan.DEAD} says nothing")
        self.ctl("why", f"flat-{plan.DEAD}")
        say("A setpoint: written once, read back, confirmed")
        done = self.ctl("set", "pump-7/motor/setpoint", "1200", "--wait")
        if done.returncode != 0:
            sys.exit("the setpoint was not confirmed")
        self.wait_until(0.35)
        say("The uplink is cut: no packet passes, nothing is closed")
        before = self.readings()
        self.uplink("silent")
        self.cut = True
        self.wait_until(0.65)
        print(f"in the meantime the subscriber got {self.readings() - before} readings")
        self.ctl("links")
        say("An alarm: raised by the gateway while nobody upstream can see it, and acknowledged")
        raised = lambda: "motor/overload" in self.ctl("alarms", show=False).stdout
        self.until(raised, 30, "the pump's alarm is raised")
        self.ctl("alarms")
        if self.ctl("ack", "pump-7/motor/overload").returncode != 0:
            sys.exit("the alarm was not acknowledged")
        say("The uplink is back")
        self.uplink("open")
        self.cut = False
        self.until(lambda: self.readings() > before + 10, 60, "what waited arrives")
        self.until(self.acknowledged, 60, "the alarm and its acknowledgement arrive")
        self.wait_until(0.85)
        self.ctl("links")

    def live(self):
        say("It goes on until Ctrl-C; in another terminal:")
        print(f"  mosquitto_sub -p {self.said('uplink', 'ready')} -v -t 'gatewayd/#'")
        print(f"  GATEWAYD_SOCKET={self.folder}/control.sock {self.binary} ctl twins")
        while True:
            time.sleep(10)
            self.ctl("twins", "pump-7")

    def summary(self):
        """Counts what was served and what arrived; the exit status of the demo."""
        if self.cut:
            self.uplink("open")
        self.stop("plant")
        last, quiet = -1, 0
        while quiet < 10:
            time.sleep(0.2)
            now = self.readings()
            quiet, last = (quiet + 1, now) if now == last else (0, now)
        case = {"gateway": GATEWAY, "served": [str(self.folder / "plant.jsonl")],
                "sinks": {"cloud": str(self.folder / "got.jsonl")},
                "twins": {place: twin for twin, (place, *_) in plan.COUNTED.items()},
                "points": {"served": {twin: {"point": point, "mean": mean, "rate": rate}
                                      for twin, (_, point, mean, rate) in plan.COUNTED.items()}}}
        (self.folder / "case.json").write_text(json.dumps(case))
        done = subprocess.run([sys.executable, PEERS / "check.py", self.folder / "case.json"],
                              text=True, capture_output=True)
        say("Counted by a checker that shares no code with gatewayd")
        if not done.stdout:
            print(done.stderr)
            return 1
        report = json.loads(done.stdout)
        link = report["links"]["cloud"]
        print(f"  readings served by the plant       {sum(report['served'].values()):6}")
        print(f"  lost                               {link['lost']:6}")
        print(f"  arrived twice, and recognisable    {link['duplicates']:6}")
        print(f"  waited for the uplink              {link['historical']:6}")
        print(f"  wrong or out of order              {report['problems'] - link['lost']:6}")
        for problem in report["first_problems"]:
            print(f"  {problem}")
        return done.returncode


def switch_on(text, section, keys):
    """Uncomments a section of the commented reference, and in it only these keys."""
    lines, inside, left = [], False, dict(keys)
    for line in text.splitlines():
        if line.strip() in (f"[{section}]", f"#[{section}]"):
            inside, line = True, f"[{section}]"
        elif re.match(r"#?\[", line):
            inside = False
        elif inside and (found := re.match(r"#?(\w+) = ", line)) and found[1] in left:
            line = f"{found[1]} = {left.pop(found[1])}"
        lines.append(line)
    if left:
        sys.exit(f"etc/gatewayd.toml has no [{section}] with {', '.join(left)}")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--seconds", type=float)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with tempfile.TemporaryDirectory(prefix="gatewayd-demo-") as folder:
        demo, status = Demo(given.binary, given.seconds, folder), 1
        try:
            demo.up()
            try:
                demo.show()
                if given.seconds is None:
                    demo.live()
                demo.wait_until(0.9)
            except KeyboardInterrupt:
                print()
            # What is left takes seconds, and a second Ctrl-C would leave it half done.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            status = demo.summary()
        except KeyboardInterrupt:
            status = 130
        finally:
            demo.stop_all()
    say("done" if status == 0 else "NOT as promised")
    return status


if __name__ == "__main__":
    sys.exit(main())
