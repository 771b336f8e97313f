//! A broker of the tests' own, which refuses by plan (MQTT 5).

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{CancellationToken, Scope};
use dialects::{LinkStatus, Phase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use wire::Version;

use super::{Gateway, Heard, Message, spec, status, until};

/// What a plan answers where the connection is to break before this message is acknowledged.
pub const BREAK: u8 = 0xff;
/// What it answers where this message is never to be acknowledged.
pub const SILENCE: u8 = 0xfe;

pub type Plan = Arc<Mutex<Box<dyn FnMut(&Message) -> u8 + Send>>>;

/// A broker that takes what its plan answers with 0 and refuses the rest with the reason that it answers with.
#[derive(Clone)]
pub struct Scripted {
    pub port: u16,
    pub taken: Heard,
    plan: Plan,
    pub most: Arc<Mutex<usize>>,
    /// Bytes to send as they are.
    pub say: Arc<Mutex<Vec<u8>>>,
    /// Packet ids that the link has acknowledged.
    pub acknowledged: Arc<Mutex<Vec<u16>>>,
}

impl Scripted {
    pub async fn start(scope: &Scope, receive_maximum: u16) -> Self {
        let [high, low] = receive_maximum.to_be_bytes();
        Self::with(scope, vec![0x21, high, low]).await
    }

    /// With these properties of CONNACK.
    pub async fn with(scope: &Scope, properties: Vec<u8>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan: Plan = Arc::new(Mutex::new(Box::new(|_| 0)));
        let broker = Self {
            port,
            taken: Heard::default(),
            plan,
            most: Arc::default(),
            say: Arc::default(),
            acknowledged: Arc::default(),
        };
        let of = broker.clone();
        let (stop, inner) = (scope.stop().clone(), scope.clone());
        scope.spawn("broker", async move {
            while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
                let serve = of.clone().serve(stream, properties.clone());
                inner.spawn("connection", async move { drop(serve.await) });
            }
        });
        broker
    }

    pub fn plan(&self, plan: impl FnMut(&Message) -> u8 + Send + 'static) {
        *self.plan.lock().unwrap() = Box::new(plan);
    }

    async fn serve(self, mut stream: TcpStream, properties: Vec<u8>) -> std::io::Result<()> {
        let mut unanswered: Vec<(u16, u8)> = Vec::new();
        loop {
            // Answers late, so that as many are under way as may be.
            let next = tokio::time::timeout(Duration::from_millis(5), stream.read_u8()).await;
            let Ok(first) = next else {
                for (id, reason) in unanswered.drain(..) {
                    let [high, low] = id.to_be_bytes();
                    stream.write_all(&[0x40, 3, high, low, reason]).await?;
                }
                let say = std::mem::take(&mut *self.say.lock().unwrap());
                stream.write_all(&say).await?;
                continue;
            };
            let (first, mut length, mut shift) = (first?, 0_usize, 0);
            loop {
                let byte = stream.read_u8().await?;
                length |= usize::from(byte & 127) << shift;
                shift += 7;
                if byte < 128 {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await?;
            match first >> 4 {
                1 => {
                    let length = u8::try_from(properties.len()).unwrap();
                    stream.write_all(&[0x20, 3 + length, 0, 0, length]).await?;
                    stream.write_all(&properties).await?;
                }
                8 => stream.write_all(&[0x90, 4, body[0], body[1], 0, 1]).await?,
                4 => {
                    let id = u16::from_be_bytes([body[0], body[1]]);
                    self.acknowledged.lock().unwrap().push(id);
                }
                12 => stream.write_all(&[0xd0, 0]).await?,
                3 => {
                    let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                    let topic = String::from_utf8(body[2..end].to_vec()).unwrap();
                    let id = u16::from_be_bytes([body[end], body[end + 1]]);
                    let properties = usize::from(body[end + 2]);
                    let payload = &body[end + 3 + properties..];
                    let json = serde_json::from_slice(payload).unwrap_or_default();
                    let message = Message { topic, retained: first & 1 == 1, json };
                    let reason = (self.plan.lock().unwrap())(&message);
                    match reason {
                        BREAK => return Ok(()),
                        SILENCE => continue,
                        _ => {}
                    }
                    if reason == 0 {
                        self.taken.push(message);
                    }
                    unanswered.push((id, reason));
                    let mut most = self.most.lock().unwrap();
                    *most = unanswered.len().max(*most);
                }
                _ => return Ok(()),
            }
        }
    }
}

/// The energies on `stream`, in their order.
pub fn energies(heard: &Heard) -> Vec<u64> {
    let all = heard.on("/stream");
    all.iter().filter_map(|json| json["values"]["electrical/energy"].as_u64()).collect()
}

/// A gateway and its link to such a broker.
pub struct Scene {
    pub gateway: Gateway,
    pub broker: Scripted,
    pub watch: watch::Receiver<LinkStatus>,
    pub stop: CancellationToken,
}

impl Scene {
    pub async fn new() -> Self {
        let stop = CancellationToken::new();
        let gateway = Gateway::start(&stop).await;
        let broker = Scripted::start(&gateway.scope, 5).await;
        let watch = gateway.link(spec(broker.port, Version::V5), &stop);
        status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
        Self { gateway, broker, watch, stop }
    }

    pub async fn report(&self, energies: std::ops::RangeInclusive<u64>) {
        for energy in energies {
            self.gateway.report(2300, energy).await;
        }
    }

    /// Waits until so many different reports were taken.
    pub async fn all(&self, n: u64) {
        let taken = &self.broker.taken;
        let what = format!("{n} reports");
        until(&what, async || energies(taken).iter().collect::<BTreeSet<_>>().len() as u64 == n)
            .await;
    }
}
