//! What happens to the gateway itself, on disk.

use twin::{BootId, GapCause, GatewayEvent, Handle, Seq};

use super::common::{put_principal, take_principal};
use crate::codec::{Put, Take};
use crate::frame::Kind;

pub(crate) fn put(out: &mut impl Put, event: &GatewayEvent) -> Kind {
    match event {
        GatewayEvent::Opened { epoch, boot, offset, surviving } => {
            out.put_u32(*epoch);
            out.put(&boot.0);
            out.put_option(*offset, |out, v| out.put_i64(v));
            out.put_u64(surviving.0);
            Kind::Opened
        }
        GatewayEvent::ClockSet { offset } => {
            out.put_i64(*offset);
            Kind::ClockSet
        }
        GatewayEvent::Gap { first, last, cause } => {
            out.put_u64(first.0);
            out.put_u64(last.0);
            out.put_u8(*cause as u8);
            Kind::Gap
        }
        GatewayEvent::Writes { on, by } => {
            out.put_bool(*on);
            put_principal(out, by);
            Kind::Writes
        }
        GatewayEvent::Revs { least } => {
            out.put_len(least.len());
            for (handle, rev) in least {
                out.put_varint(u64::from(handle.0));
                out.put_varint(*rev);
            }
            Kind::Revs
        }
        GatewayEvent::Forgotten { before } => {
            out.put_u64(before.0);
            Kind::Forgotten
        }
        GatewayEvent::PassedOver { link, first, last, count, why } => {
            out.put_text(link.as_str());
            out.put_u64(first.0);
            out.put_u64(last.0);
            out.put_u32(*count);
            out.put_text(why);
            Kind::PassedOver
        }
    }
}

pub(crate) fn take(kind: Kind, take: &mut Take<'_>) -> Option<GatewayEvent> {
    Some(match kind {
        Kind::Opened => GatewayEvent::Opened {
            epoch: take.u32()?,
            boot: BootId(take.id()?),
            offset: take.option(Take::i64)?,
            surviving: Seq(take.u64()?),
        },
        Kind::ClockSet => GatewayEvent::ClockSet { offset: take.i64()? },
        Kind::Gap => GatewayEvent::Gap {
            first: Seq(take.u64()?),
            last: Seq(take.u64()?),
            cause: match take.u8()? {
                0 => GapCause::Crash,
                1 => GapCause::Damage,
                2 => GapCause::Retention,
                3 => GapCause::Full,
                4 => GapCause::Thinned,
                _ => return None,
            },
        },
        Kind::PassedOver => GatewayEvent::PassedOver {
            link: take.parsed()?,
            first: Seq(take.u64()?),
            last: Seq(take.u64()?),
            count: take.u32()?,
            why: take.text()?,
        },
        Kind::Writes => GatewayEvent::Writes { on: take.bool()?, by: take_principal(take)? },
        Kind::Revs => {
            GatewayEvent::Revs { least: take.list(|t| Some((Handle(t.varint32()?), t.varint()?)))? }
        }
        Kind::Forgotten => GatewayEvent::Forgotten { before: Seq(take.u64()?) },
        _ => return None,
    })
}
