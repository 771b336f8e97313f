//! Modbus TCP and RTU.

mod address;
mod calendar;
mod codec;
mod exchange;
mod format;
mod order;
mod pdu;
mod scale;
pub mod spec;
mod write;

pub use address::{Address, AddressError, Table};
pub use codec::{CodecError, EncodeError, PointCodec};
pub use exchange::{Completed, Counters, Desync, Exchange, Failure, StartError};
pub use format::{
    Characters, Format, Int, Kind, PartialWrite, TimeField, TimeLayout, TimeUnit, Whole,
};
pub use order::{Order, OrderError};
pub use pdu::*;
pub use scale::{Decimal, DecimalError, Scale};
pub use write::{Modify, Write};
