//! A Modbus device as the shared agenda sees it: what to ask, what an answer means, how to write.

use std::sync::Arc;

use adapter::{Encoded, Identity, Polled, PolledGroup, Work};
use twin::{Entry, Order, Reason, TwinId};

use crate::batch::{self, Batch};
use crate::identity;
use crate::spec::{DeviceSpec, PointSpec, When};
use crate::{PointCodec, Request, Response, Write, decode_reply};

/// A device on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) spec: DeviceSpec,
    /// Its frames carry a number by which an answer is known.
    pub(crate) numbered: bool,
}

impl Device {
    fn at(&self, index: u16) -> Option<(usize, &PointSpec)> {
        self.spec.points.iter().enumerate().find(|(_, point)| point.index == index)
    }

    fn shown(&self, pdu: &[u8]) -> Vec<u8> {
        let mut bytes = vec![self.spec.unit];
        bytes.extend_from_slice(pdu);
        bytes
    }
}

/// What one request that writes needs: the request, or a read before it.
pub(crate) type DeviceWork = Work<Batch, Write>;

impl Polled for Device {
    type Batch = Batch;
    type Write = Write;
    type Answer = Response;

    fn twin(&self) -> &TwinId {
        &self.spec.twin
    }

    fn revision(&self) -> u32 {
        self.spec.revision
    }

    fn groups(&self) -> Vec<PolledGroup> {
        let points = |group: u16| {
            let of = self.spec.points.iter().filter(|point| point.group == group);
            let mut points: Vec<u16> = of.map(|point| point.index).collect();
            points.sort_unstable();
            points
        };
        let groups = self.spec.groups.iter().map(|group| PolledGroup {
            index: group.index,
            every: match group.when {
                When::Every(interval) => Some(interval),
                When::OnDemand => None,
            },
            points: points(group.index),
        });
        groups.collect()
    }

    fn group_of(&self, point: u16) -> Option<u16> {
        self.at(point).map(|(_, point)| point.group)
    }

    fn plan(&self, points: &[u16]) -> Vec<Batch> {
        let which: Vec<usize> =
            points.iter().filter_map(|index| self.at(*index)).map(|(at, _)| at).collect();
        batch::plan(&self.spec.points, &which, &self.spec.limits)
    }

    fn probe(&self) -> Option<Batch> {
        let count = |point: &PointSpec| point.codec.count();
        let (at, _) = self.spec.points.iter().enumerate().min_by_key(|(_, p)| count(p))?;
        batch::plan(&self.spec.points, &[at], &self.spec.limits).into_iter().next()
    }

    fn points<'a>(&'a self, batch: &'a Batch) -> impl Iterator<Item = u16> + 'a {
        batch.items.iter().filter_map(|item| self.spec.points.get(item.point)).map(|p| p.index)
    }

    fn decode(&self, batch: &Batch, answer: &Response, offset: i64, out: &mut Vec<Entry>) {
        decode_reply(&self.spec.points, batch, answer, offset, out);
    }

    fn encode(&self, point: u16, order: &Order) -> Result<Encoded<Write>, (Reason, Arc<str>)> {
        let Some((_, point)) = self.at(point) else {
            return Err((Reason::NoSuchPoint, "the device has no such point".into()));
        };
        let Some(spec) = point.write else {
            let words = "the point is not declared `writable = true`";
            return Err((Reason::NotWritable, words.into()));
        };
        let Order::Write(value) = order else {
            return Err((Reason::NoSuchPoint, "a register can be written, not called".into()));
        };
        let write = point.codec.encode(value);
        let write = write.map_err(|error| (Reason::WrongType, error.to_string().into()))?;
        let expected = point.codec.expected(value);
        let expected = expected.map_err(|error| (Reason::WrongType, error.to_string().into()))?;
        Ok(Encoded { write, expected, settle: spec.settle })
    }

    fn identity(&self) -> Vec<Batch> {
        let alone = |request| Batch { request, items: Vec::new() };
        let said = self
            .spec
            .identification
            .map(|spec| Request::Identify { extent: spec.extent, object: 0 });
        said.into_iter().chain(self.spec.identity.iter().map(PointCodec::read)).map(alone).collect()
    }

    fn identify(&self, answers: &[Option<Response>]) -> Identity {
        identity::identify(&self.spec, answers)
    }

    fn retries(&self) -> u8 {
        self.spec.retries
    }

    fn busy(&self) -> (u8, i64) {
        self.spec.busy
    }

    fn pause(&self) -> i64 {
        self.spec.pause
    }

    fn doubtful(&self) -> bool {
        self.spec.doubtful
    }

    fn raw(&self, request: &[u8]) -> Option<Batch> {
        let request = Request::reading(request)?;
        Some(Batch { request, items: Vec::new() })
    }

    fn raw_answer(&self, answer: &Response) -> Vec<u8> {
        match answer {
            Response::Registers(bytes) | Response::Bits(bytes) => bytes.to_vec(),
            Response::Written | Response::Identification(_) => Vec::new(),
        }
    }

    fn place(&self, point: Option<u16>) -> String {
        let unit = self.spec.unit;
        match point.and_then(|index| self.at(index)) {
            Some((_, point)) => {
                let (address, count) = (point.codec.address(), point.codec.count());
                let item = if address.table.is_bits() { "bit" } else { "register" };
                let s = if count == 1 { "" } else { "s" };
                format!("unit {unit}, {address}, {count} {item}{s}")
            }
            None => format!("unit {unit}"),
        }
    }

    fn request_bytes(&self, work: &DeviceWork) -> Vec<u8> {
        let mut pdu = Vec::new();
        match work {
            Work::Read(batch) => batch.request.encode(&mut pdu),
            Work::Write(Write::Request(request)) => request.encode(&mut pdu),
            Work::Write(Write::Modify(modify)) => modify.read().encode(&mut pdu),
        }
        self.shown(&pdu)
    }

    fn answer_bytes(&self, work: &DeviceWork, answer: &Response) -> Vec<u8> {
        let mut pdu = Vec::new();
        let function = match work {
            Work::Read(batch) => batch.request.function(),
            Work::Write(Write::Request(request)) => request.function(),
            Work::Write(Write::Modify(modify)) => modify.read().function(),
        };
        pdu.push(function);
        if let Response::Identification(said) = answer {
            pdu.extend_from_slice(&said.bytes());
        }
        if let Response::Registers(bytes) | Response::Bits(bytes) = answer {
            pdu.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
            pdu.extend_from_slice(bytes);
        }
        self.shown(&pdu)
    }

    fn explain(&self, batch: &Batch, answer: &Response, point: u16) -> Vec<String> {
        let item = batch.items.iter().find_map(|item| {
            let of = self.spec.points.get(item.point)?;
            (of.index == point).then_some((item.at, of))
        });
        let Some((at, point)) = item else { return Vec::new() };
        let mut steps = Vec::new();
        if let Request::Read { table, start, count } = &batch.request {
            let word = table.word();
            let function = batch.request.function();
            steps.push(format!("function {function:02} read {count} of {word} from {start}"));
        }
        let (address, count) = (point.codec.address(), point.codec.count());
        let bytes: Vec<u8> = match answer {
            Response::Registers(bytes) => {
                let from = usize::from(at) * 2;
                let until = from + usize::from(count) * 2;
                bytes.get(from..until).unwrap_or_default().to_vec()
            }
            _ => answer.bit(usize::from(at)).map(u8::from).into_iter().collect(),
        };
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        steps.push(format!("{address} is number {at} of the answer, from 0: {}", hex.join(" ")));
        let (value, quality) = point.codec.decode(&bytes);
        let of = point.codec.value_type();
        let value = value.map_or_else(|| "no value".into(), |value| of.show(&value).to_string());
        steps.push(format!("as {}: {value}, {quality}", point.codec.format()));
        steps
    }

    fn risks(&self, point: u16) -> Vec<String> {
        let Some((at, _)) = self.at(point).filter(|_| !self.numbered) else {
            return Vec::new();
        };
        let limits = &self.spec.limits;
        let batches = batch::plan(&self.spec.points, &[at], limits);
        let shapes: Vec<_> = batches.iter().map(|batch| batch.request.shape()).collect();
        let other =
            |batch: &Batch| batch::differently(&self.spec.points, batch, limits, &shapes).is_some();
        if batches.iter().all(other) {
            return Vec::new();
        }
        vec![
            "no other request reads this point: after a timeout only the quarantine protects it \
             from a late answer"
                .into(),
        ]
    }
}
