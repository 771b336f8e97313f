//! Modbus TCP (also with TLS and over UDP), RTU and ASCII (also over TCP).
//!
//! The pure part has no I/O and no clock: [`Request`] and [`Response`] (what travels), [`TcpMaster`] and [`SerialMaster`]
//! (who takes which answer for which request; bytes and boottime in microseconds are arguments), [`PointCodec`] (one
//! object that reads and writes a point), [`batch`] (few requests for many points), [`spec`] (lines and devices as
//! plain data). [`config`] makes specs of TOML sections. Deliberately absent from it: sockets, ports, schedules, retries, the twin store.
//!
//! [`run`] is the task that touches the world: it drives one line by the agenda that all polled protocols share.

mod address;
mod ascii_frame;
mod asker;
pub mod batch;
mod calendar;
pub mod calibrate;
pub mod codec;
pub mod config;
mod device;
mod driver;
mod exchange;
mod format;
mod format_words;
mod identification;
mod identity;
mod master;
mod open;
mod order;
pub mod pdu;
pub mod pdu_raw;
mod port;
pub mod probe;
mod reply;
mod rtu_frame;
mod scale;
mod sequence;
mod serial_frame;
mod serial_line;
pub mod serial_master;
pub mod serving;
mod slot;
pub mod spec;
pub mod sunspec;
pub mod tap;
pub mod tcp;
mod tcp_line;
mod tls_line;
mod udp_line;
mod write;

pub use address::{Address, AddressError, Table};
pub use asker::{Answered, Asker, Exchanges};
pub use batch::{Batch, Item};
pub use codec::{CodecError, EncodeError, PointCodec};
pub use driver::run;
pub use exchange::{Completed, Counters, Desync, Exchange, Failure, StartError};
pub use format::{
    Characters, Format, Int, Kind, PartialWrite, TextPlace, TimeField, TimeLayout, TimeUnit, Whole,
};
pub use identification::{Extent, Identification};
pub use master::Master;
pub use order::{Order, OrderError};
pub use pdu::{
    AnswerError, Exception, MAX_READ_BITS, MAX_READ_REGISTERS, MAX_READ_WRITE_REGISTERS,
    MAX_WRITE_BITS, MAX_WRITE_REGISTERS, Request, RequestError, Response, Shape,
};
pub use port::identity;
pub use reply::{decode_reply, fail_reply};
pub use scale::{Decimal, DecimalError, Scale};
pub use serial_frame::SerialFraming;
pub use serial_master::{SerialMaster, SerialTimes};
pub use tcp::TcpMaster;
pub use write::{Modify, Write};
