//! One codec for reading and writing: vectors from outside, and what is written is what is read.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod numbers;
mod powers;
mod properties;
mod refusals;
mod texts;
mod times;

use adapter_modbus::{Format, Kind, PointCodec, Scale};
use twin::{Cause, Quality, Value};

/// A codec at a holding register, or at a coil for booleans.
fn codec(format: Format) -> PointCodec {
    let at = if format.kind == Kind::Bool { "coil:10" } else { "holding:10" };
    PointCodec::new(at.parse().unwrap(), format).unwrap()
}

fn ordered(kind: Kind, order: &str) -> PointCodec {
    codec(Format { order: Some(order.parse().unwrap()), ..Format::new(kind) })
}

fn scaled(kind: Kind, factor: &str, offset: &str) -> PointCodec {
    let scale = Scale { factor: factor.parse().unwrap(), offset: offset.parse().unwrap() };
    codec(Format { scale: Some(scale), ..Format::new(kind) })
}

fn good(codec: &PointCodec, wire: &[u8]) -> Value {
    let (value, quality) = codec.decode(wire);
    assert_eq!(quality, Quality::GOOD, "{codec:?} {wire:02X?}");
    let value = value.unwrap();
    assert!(codec.value_type().admits(&value), "{value:?} is no {:?}", codec.value_type());
    value
}

fn bad(codec: &PointCodec, wire: &[u8]) -> Cause {
    let (value, quality) = codec.decode(wire);
    assert_eq!((value, quality.is_good()), (None, false), "{codec:?} {wire:02X?}");
    quality.cause
}
