//! The bare program that the bench compares with: tokio-modbus, a string, rumqttc; no twin, no store, no check.
//!
//! `floor BROKER_PORT INTERVAL_MS REGISTERS SPREAD PORT...` polls one device per port and publishes each answer as one JSON
//! message with QoS 1. Single-threaded, as a plant engineer would write it in an afternoon.
//! SPREAD 0: all devices are polled at the same instant; 1: their polls are spread evenly over the interval.

#![expect(clippy::unwrap_used, reason = "a bench baseline fails by panicking")]

use std::fmt::Write as _;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, QoS};
use tokio_modbus::prelude::Reader;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<u16> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let [broker, interval, registers, spread, ports @ ..] = &arguments[..] else {
        panic!("see the file's head")
    };
    let mut options = MqttOptions::new("floor", "127.0.0.1", *broker);
    options.set_inflight(100);
    let (client, mut events) = AsyncClient::new(options, 100);
    let mut tasks = tokio::task::JoinSet::new();
    for (device, port) in ports.iter().enumerate() {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], *port));
        let interval = Duration::from_millis((*interval).into());
        let phase = interval * u32::from(*spread) * device as u32 / ports.len() as u32;
        tasks.spawn(poll(client.clone(), device, address, (interval, phase), *registers));
    }
    loop {
        if let Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) = events.poll().await {
            return;
        }
    }
}

async fn poll(
    client: AsyncClient,
    device: usize,
    at: std::net::SocketAddr,
    (interval, phase): (Duration, Duration),
    n: u16,
) {
    let mut modbus = tokio_modbus::client::tcp::connect(at).await.unwrap();
    let mut due = tokio::time::interval_at(tokio::time::Instant::now() + phase, interval);
    let topic = format!("floor/d{device}");
    loop {
        due.tick().await;
        let values = modbus.read_holding_registers(0, n).await.unwrap().unwrap();
        let mut text = String::with_capacity(16 * values.len());
        let number = u32::from(values[0]) << 16 | u32::from(values[1]);
        write!(text, "{{\"n\":{number}").unwrap();
        for (i, value) in values.iter().enumerate().skip(2) {
            write!(text, ",\"r{i}\":{value}").unwrap();
        }
        text.push('}');
        client.publish(&topic, QoS::AtLeastOnce, false, text).await.unwrap();
    }
}
