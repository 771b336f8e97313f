#!/usr/bin/env python3
"""The bench of a backlog: a store with a day of 10 x 100 registers @1 s that no link has delivered, a broker, a subscriber
and ten devices that are polled meanwhile. Prints what the store takes, how long the first message takes, and how fast the
backlog drains beside what is live.

  backlog.py --gatewayd BIN --backlog BIN --plant BIN --sink BIN --results DIR [--hours 24]
"""
import argparse, json, pathlib, shutil, subprocess, sys, tempfile, time

from bench import INTERVAL_MS, REGISTERS, free_port, log, stop, usage, wait_for_port

DEVICES, LIVE = 10, 100  # devices are numbered from LIVE; twins of the backlog from 0


def files(folder, broker, ports):
    (folder / "devices.d").mkdir()
    (folder / "gatewayd.toml").write_text(f"""
[gateway]
name = "bench"
[store]
dir = "{folder}/store"
samples = "1GiB"
[control]
socket = "{folder}/control.sock"
[link.bench]
url = "mqtt://127.0.0.1:{broker}"
""")
    points = "".join(f"""
[[point]]
name = "regs/r{i}"
address = "holding:{i}"
""" for i in range(REGISTERS))
    for device, port in enumerate(ports):
        (folder / "devices.d" / f"live-{LIVE + device}.toml").write_text(f"""
[modbus]
tcp = "127.0.0.1:{port}"
unit = 1
[group.main]
interval = "{INTERVAL_MS}ms"
{points}""")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("gatewayd", "backlog", "plant", "sink", "results"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--hours", type=float, default=24)
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    folder, broker_port, processes = pathlib.Path(tempfile.mkdtemp(prefix="gatewayd-bench-")), free_port(), []

    def start(*command, **more):
        processes.append(subprocess.Popen([str(c) for c in command], **more))
        return processes[-1]

    try:
        made = subprocess.run([options.backlog, folder / "store", "bench", "bench", str(int(options.hours * 3600))],
                              check=True, capture_output=True, text=True)
        made = json.loads(made.stdout)
        (folder / "mosquitto.conf").write_text(f"listener {broker_port} 127.0.0.1\nallow_anonymous true\n"
                                               "max_queued_messages 0\nmax_inflight_messages 0\n")
        start("mosquitto", "-c", folder / "mosquitto.conf", stderr=open(folder / "mosquitto.log", "w"))
        wait_for_port(broker_port)
        plant = start(options.plant, DEVICES, REGISTERS, 100, folder / "served", stdout=subprocess.PIPE, text=True)
        ports = plant.stdout.readline().split()
        sink = start(options.sink, broker_port, "gatewayd/bench/twins/+/stream", "-", '"seq":', folder / "received",
                     stdout=subprocess.PIPE, stderr=open(folder / "sink.log", "w"), text=True)
        sink.stdout.readline()
        files(folder, broker_port, ports)
        started = time.monotonic()
        tested = start(options.gatewayd, "--config", folder / "gatewayd.toml", stderr=open(folder / "gatewayd.log", "w"))
        peak, before = 0, None
        while True:
            time.sleep(0.5)
            if tested.poll() is not None:
                sys.exit(f"gatewayd ended by itself; see {folder}")
            now = usage(tested.pid)
            peak, before = max(peak, now["pss_kb"]), before or now
            asked = subprocess.run([options.gatewayd, "ctl", "links", "--json"], capture_output=True, text=True,
                                   env={"GATEWAYD_SOCKET": str(folder / "control.sock")})
            if asked.returncode == 0:
                lanes = [lane for link in json.loads(asked.stdout)["links"] for lane in link["lanes"]]
                if lanes and all("end" not in lane or lane["next"] > lane["end"] for lane in lanes):
                    break
            if time.monotonic() - started > 900:
                sys.exit(f"the backlog does not drain; see {folder}")
        after = usage(tested.pid)
        time.sleep(5)
        stop(tested)
        time.sleep(0.5)
        stop(plant), stop(sink)
    finally:
        for process in reversed(processes):
            stop(process)
    received = log(folder / "received")
    kept = sorted(at / 1e9 for device, _, at in received if device < LIVE)
    live = sorted(at / 1e9 for device, _, at in received if device >= LIVE)
    served = [at / 1e9 for _, _, at in log(folder / "served")]
    drained = kept[-1] - kept[0]
    beside = [at for at in live if kept[0] <= at <= kept[-1]]
    asked = [at for at in served if kept[0] <= at <= kept[-1]]
    expected = made["values"] / REGISTERS
    result = {
        "backlog_messages": expected, "delivered": len(kept), "bytes_per_value": made["bytes"] / made["values"],
        "first_message_s": min(kept[0], live[0]) - started, "first_live_message_s": live[0] - started,
        "drain_s": drained, "drain_messages_per_s": len(kept) / drained,
        "live_messages_meanwhile": len(beside), "live_served_meanwhile": len(asked),
        "cpu_us_per_message": (after["cpu"] - before["cpu"]) / max(1, len(kept)) * 1e6, "peak_pss_mb": peak / 1024,
        "longest_live_pause_ms": max((b - a for a, b in zip(beside, beside[1:])), default=float("nan")) * 1e3,
    }
    (options.results / "backlog.json").write_text(json.dumps(result, indent=1))
    for key, number in result.items():
        print(f"  {key:28}{number:14.3f}")
    shutil.rmtree(folder)
    if len(kept) < expected:
        sys.exit(f"{expected - len(kept):.0f} messages of the backlog never came")


if __name__ == "__main__":
    main()
