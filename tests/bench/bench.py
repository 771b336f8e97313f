#!/usr/bin/env python3
"""The bench: gatewayd against the bare tokio-modbus + rumqttc program, in turn, measured from outside.

Served times come from the plant, received times from the subscriber, CPU and memory of both programs from /proc, system
calls from strace after the measured time. Only `stream` messages are compared: one per device and poll in all programs.
gatewayd publishes retained state documents as well, one per feature and second; their cost is in its numbers.
Prints medians over the runs and their ratios, and keeps every raw number in the results folder.

  bench.py --gatewayd BIN --floor BIN --plant BIN --sink BIN --results DIR [--seconds 60] [--runs 3] [--only NAME]
"""
import argparse, json, os, pathlib, shutil, signal, socket, statistics, struct, subprocess, sys, tempfile, time

REGISTERS, INTERVAL_MS, WARM_UP, TRACED = 100, 100, 3.0, 2.0
# The bare program polls all devices at one instant ("floor"), or evenly spread over the interval ("spread").
SYSTEMS = ("floor", "spread", "gatewayd")
WORKLOADS = [(f"{devices}x100 @100 ms, {change} % changing", devices, change)
             for devices in (10, 100) for change in (100, 5)]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            return socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on 127.0.0.1:{port}")


def stop(process):
    if process and process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def usage(pid):
    """CPU seconds, context switches, bytes written to disk and PSS in kB of a process."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    switches = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            switches += int(line.split()[1]) if line.startswith("voluntary_ctxt_switches") else 0
    io = dict(line.split(": ") for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines())
    pss = next(int(line.split()[1]) for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
               if line.startswith("Pss:"))
    return {"cpu": (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"), "sleeps": switches,
            "written": int(io["write_bytes"]), "pss_kb": pss, "at": time.monotonic()}


def system_calls(pid, seconds):
    """System calls per second of a process, from strace, which slows it down: never while something else is measured."""
    if not shutil.which("strace"):
        return float("nan")
    with tempfile.NamedTemporaryFile("r") as summary:
        trace = subprocess.Popen(["strace", "-c", "-f", "-o", summary.name, "-p", str(pid)], stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        trace.send_signal(signal.SIGINT)
        trace.wait(20)
        total = [line.split() for line in summary.read().splitlines() if line.endswith(" total")]
    return int(total[0][3]) / seconds if total else float("nan")


def log(path):
    data = pathlib.Path(path).read_bytes()
    return list(struct.iter_unpack("<IIQ", data[: len(data) // 16 * 16]))


def gatewayd_files(folder, broker, ports):
    (folder / "devices.d").mkdir()
    (folder / "gatewayd.toml").write_text(f"""
[gateway]
name = "bench"
[store]
dir = "{folder}/store"
[control]
socket = "{folder}/control.sock"
[link.bench]
url = "mqtt://127.0.0.1:{broker}"
""")
    points = "".join(f"""
[[point]]
name = "regs/r{i}"
address = "holding:{i}"
type = "u16"
""" for i in range(2, REGISTERS))
    for device, port in enumerate(ports):
        (folder / "devices.d" / f"d{device}.toml").write_text(f"""
[modbus]
tcp = "127.0.0.1:{port}"
unit = 1
[group.main]
interval = "{INTERVAL_MS}ms"
[[point]]
name = "regs/n"
address = "holding:0"
type = "u32"
order = "ABCD"
{points}""")


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))] if values else float("nan")


def run(options, system, devices, change, seconds, folder):
    broker_port, processes = free_port(), []
    def start(*command, **more):
        processes.append(subprocess.Popen([str(c) for c in command], **more))
        return processes[-1]
    try:
        (folder / "mosquitto.conf").write_text(
            f"listener {broker_port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 100000\n")
        broker = start("mosquitto", "-c", folder / "mosquitto.conf", stderr=open(folder / "mosquitto.log", "w"))
        wait_for_port(broker_port)
        plant = start(options.plant, devices, REGISTERS, change, folder / "served", stdout=subprocess.PIPE, text=True)
        ports = plant.stdout.readline().split()
        marks = (("gatewayd/bench/twins/+/stream", "/twins/d", '/n":') if system == "gatewayd"
                 else ("floor/#", "floor/d", '"n":'))
        sink = start(options.sink, broker_port, *marks, folder / "received", stdout=subprocess.PIPE,
                     stderr=open(folder / "sink.log", "w"), text=True)
        sink.stdout.readline()
        if system != "gatewayd":
            spread = int(system == "spread")
            tested = start(options.floor, broker_port, INTERVAL_MS, REGISTERS, spread, *ports)
        else:
            gatewayd_files(folder, broker_port, ports)
            tested = start(options.gatewayd, "--config", folder / "gatewayd.toml", stderr=open(folder / "gatewayd.log", "w"))
        started = time.monotonic()
        time.sleep(WARM_UP)
        before, broker_before = usage(tested.pid), usage(broker.pid)
        time.sleep(seconds)
        after, broker_after = usage(tested.pid), usage(broker.pid)
        if tested.poll() is not None:
            sys.exit(f"{system} ended by itself; see {folder}")
        calls = system_calls(tested.pid, TRACED)
        stop(tested); time.sleep(0.5); stop(plant); stop(sink)
    finally:
        for process in reversed(processes):
            stop(process)
    result = evaluate(folder, before, after, broker_before, broker_after, seconds)
    first = min((at for _, _, at in log(folder / "received")), default=float("nan"))
    result["first_message_s"] = first / 1e9 - started
    result["calls_per_message"] = calls / (result["values_per_s"] / REGISTERS)
    return result


def idle(options):
    """PSS in MB of a gatewayd that has a link and no devices."""
    folder, broker_port = pathlib.Path(tempfile.mkdtemp(prefix="gatewayd-bench-")), free_port()
    gatewayd_files(folder, broker_port, [])
    process = subprocess.Popen([options.gatewayd, "--config", folder / "gatewayd.toml"], stderr=subprocess.DEVNULL)
    try:
        time.sleep(WARM_UP)
        return usage(process.pid)["pss_kb"] / 1024
    finally:
        stop(process)
        shutil.rmtree(folder)


def evaluate(folder, before, after, broker_before, broker_after, seconds):
    begin, end = int(before["at"] * 1e9), int(after["at"] * 1e9)
    served = {(d, n): t for d, n, t in log(folder / "served") if begin <= t <= end}
    received, twice = {}, 0
    for device, number, at in log(folder / "received"):
        if (device, number) in received:
            twice += 1
        received.setdefault((device, number), at)
    delays = [(received[key] - at) / 1e6 for key, at in served.items() if key in received]
    periods, last = [], {}
    for (device, _), at in sorted(served.items(), key=lambda item: item[1]):
        if device in last:
            periods.append((at - last[device]) / 1e6)
        last[device] = at
    values = len(served) * REGISTERS
    cpu = after["cpu"] - before["cpu"]
    return {
        "values_per_s": values / seconds, "cpu_s_per_million": cpu / values * 1e6,
        "broker_cpu_s_per_million": (broker_after["cpu"] - broker_before["cpu"]) / values * 1e6,
        "sleeps_per_message": (after["sleeps"] - before["sleeps"]) / max(1, len(served)),
        "pss_mb": after["pss_kb"] / 1024, "disk_bytes_per_value": (after["written"] - before["written"]) / values,
        "latency_p50_ms": percentile(delays, 50), "latency_p99_ms": percentile(delays, 99),
        "missing": sum(key not in received for key in served), "duplicate": twice,
        "period_mean_ms": statistics.fmean(periods) if periods else float("nan"),
        "period_p1_ms": percentile(periods, 1), "period_p99_ms": percentile(periods, 99),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("gatewayd", "floor", "plant", "sink", "results"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    raw = []
    for name, devices, change in WORKLOADS:
        if options.only not in name:
            continue
        results = {system: [] for system in SYSTEMS}
        for n in range(options.runs):
            for system in results:
                folder = pathlib.Path(tempfile.mkdtemp(prefix="gatewayd-bench-"))
                result = run(options, system, devices, change, options.seconds, folder)
                shutil.rmtree(folder)
                results[system].append(result)
                raw.append({"workload": name, "run": n, "system": system, **result})
                (options.results / "bench.json").write_text(json.dumps(raw, indent=1))
        table(name, results)
    print(f"\nidle gatewayd: PSS {idle(options):.1f} MB")


def table(name, results):
    print(f"\n{name}: medians of {len(results['floor'])} alternating runs")
    print(f"  {'':26}" + "".join(f"{system:>12}" for system in SYSTEMS) + f"{'/floor':>9}{'/spread':>9}")
    for key in results["floor"][0]:
        medians = [statistics.median(r[key] for r in results[s]) for s in SYSTEMS]
        ratios = [f"{medians[2] / m:9.2f}" if m else " " * 9 for m in medians[:2]]
        print(f"  {key:26}" + "".join(f"{m:12.3f}" for m in medians) + "".join(ratios), flush=True)


if __name__ == "__main__":
    main()
