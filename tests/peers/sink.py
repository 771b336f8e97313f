#!/usr/bin/env python3
"""A subscriber on paho-mqtt that writes down everything it gets, and when.

    sink.py --port PORT --out FILE [--host 127.0.0.1] [--topic '#'] [--version 5|3.1.1]

Each message becomes one JSON line: {"t": CLOCK_MONOTONIC s, "topic", "qos", "retain", "dup", "payload"},
where a payload that is no JSON stands as text. Each time the broker has confirmed the subscription it
prints {"subscribed": HOW OFTEN}: only what is published after that can be missed by nobody but us.
Reconnects for ever. Ends on SIGTERM.
"""
import argparse
import json
import signal
import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.properties import PacketTypes, Properties

arguments = argparse.ArgumentParser()
arguments.add_argument("--host", default="127.0.0.1")
arguments.add_argument("--port", type=int, required=True)
arguments.add_argument("--out", required=True)
arguments.add_argument("--topic", default="#")
arguments.add_argument("--version", choices=["3.1.1", "5"], default="5")
given = arguments.parse_args()

out = open(given.out, "a", buffering=1 << 16)
lock = threading.Lock()
subscribed = 0


def on_message(_client, _data, message):
    now = time.monotonic()
    text = message.payload.decode("utf-8", "replace")
    try:
        json.loads(text)
    except ValueError:
        text = json.dumps(text)
    line = (f'{{"t": {now:.6f}, "topic": {json.dumps(message.topic)}, "qos": {message.qos}, '
            f'"retain": {json.dumps(bool(message.retain))}, "dup": {json.dumps(bool(message.dup))}, '
            f'"payload": {text}}}\n')
    with lock:
        out.write(line)


def on_connect(client, _data, _flags, reason, _properties):
    if not reason.is_failure:
        client.subscribe(given.topic, qos=1)


def on_subscribe(_client, _data, _mid, _reasons, _properties):
    global subscribed
    subscribed += 1
    print(json.dumps({"subscribed": subscribed}), flush=True)


def end(_signal, _frame):
    client.disconnect()
    with lock:
        out.flush()
    sys.exit(0)


protocol = mqtt.MQTTv5 if given.version == "5" else mqtt.MQTTv311
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=protocol)
client.on_message, client.on_connect, client.on_subscribe = on_message, on_connect, on_subscribe
client.reconnect_delay_set(min_delay=1, max_delay=1)
connect = {}
if given.version == "5":
    connect["properties"] = Properties(PacketTypes.CONNECT)
    connect["properties"].ReceiveMaximum = 65535
    connect["clean_start"] = True
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
while True:
    try:
        # Behind a long backlog an answer to a ping comes late.
        client.connect(given.host, given.port, keepalive=3600, **connect)
        break
    except OSError:
        time.sleep(0.1)
client.loop_start()
while True:
    # What is written is seen by others within this time.
    time.sleep(0.1)
    with lock:
        out.flush()
