//! Requests and answers as protocol data units: what travels inside a TCP or a serial frame.
//!
//! Limits and layouts are those of the Modbus Application Protocol V1.1b3, section 6.

use std::fmt;

use crate::Table;
use crate::identification::{self, Extent, Identification};

/// The most bits that one request can read.
pub const MAX_READ_BITS: u16 = 2000;
/// The most registers that one request can read.
pub const MAX_READ_REGISTERS: u16 = 125;
/// The most bits that one request can write.
pub const MAX_WRITE_BITS: u16 = 1968;
/// The most registers that one request can write.
pub const MAX_WRITE_REGISTERS: u16 = 123;
/// The most registers that a request which also reads can write: its fields leave room for no more.
pub const MAX_READ_WRITE_REGISTERS: u16 = 121;
/// The most bytes that a protocol data unit has.
pub const MAX_PDU: usize = 253;

/// What a device is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Functions 1 to 4: read a run of items of one table.
    Read {
        /// Which table.
        table: Table,
        /// The first item.
        start: u16,
        /// How many.
        count: u16,
    },
    /// Function 5.
    WriteCoil {
        /// Which coil.
        number: u16,
        /// On or off.
        on: bool,
    },
    /// Function 6.
    WriteRegister {
        /// Which register.
        number: u16,
        /// What to write.
        value: u16,
    },
    /// Function 15.
    WriteCoils {
        /// The first coil.
        start: u16,
        /// What to write, in order.
        values: Box<[bool]>,
    },
    /// Function 16.
    WriteRegisters {
        /// The first register.
        start: u16,
        /// What to write, in order.
        values: Box<[u16]>,
    },
    /// Function 22: `register = (register and keep) or (set and not keep)`, done by the device in one step.
    MaskRegister {
        /// Which register.
        number: u16,
        /// Bits that stay as they are.
        keep: u16,
        /// The new value of the others.
        set: u16,
    },
    /// Function 23: writes a run of holding registers, then reads another.
    ReadWrite {
        /// The first register to read.
        read: u16,
        /// How many to read.
        count: u16,
        /// The first register to write.
        write: u16,
        /// What to write, in order.
        values: Box<[u16]>,
    },
    /// Function 43/14: the device says what it is, from this object on.
    Identify {
        /// How much it is to say.
        extent: Extent,
        /// The first object.
        object: u8,
    },
}

/// What a device answered, checked against what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Registers, two bytes each, as they travelled.
    Registers(Box<[u8]>),
    /// Bits packed eight to a byte, the first one lowest.
    Bits(Box<[u8]>),
    /// The write was carried out.
    Written,
    /// What the device says it is.
    Identification(Identification),
}

/// What an answer looks like from outside: two requests with the same shape have answers that cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The function code.
    pub function: u8,
    /// Bytes of the answer's protocol data unit.
    pub length: usize,
}

/// Why a request must not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The protocol limits how much one request carries.
    #[error("a request for {count} items of table {table}: the protocol allows 1 to {limit}", table = .table.word())]
    Count {
        /// Which table.
        table: Table,
        /// How many were asked for.
        count: usize,
        /// How many are allowed.
        limit: u16,
    },
    /// The run would go beyond the last item of the table.
    #[error("a request for {count} items from {start}: the table ends at 65535")]
    End {
        /// The first item.
        start: u16,
        /// How many.
        count: usize,
    },
}

/// Why an answer was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The device refused.
    #[error("the device refused: {0}")]
    Exception(Exception),
    /// The answer is not one to this request.
    #[error("the answer does not fit the request: {0}")]
    Malformed(&'static str),
}

macro_rules! exceptions {
    ($($variant:ident = $code:literal, $words:literal;)*) => {
        /// Why a device refused (Application Protocol V1.1b3, section 7).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Exception {
            $(#[doc = $words] $variant,)*
            /// A code that the protocol does not define.
            Other(u8),
        }

        impl Exception {
            /// The exception with this code.
            #[must_use]
            pub fn from_code(code: u8) -> Self {
                match code { $($code => Self::$variant,)* other => Self::Other(other) }
            }

            /// The code that travels.
            #[must_use]
            pub fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)* Self::Other(code) => code }
            }
        }

        impl fmt::Display for Exception {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let words = match self { $(Self::$variant => $words,)* Self::Other(_) => "unknown exception" };
                write!(f, "{words} (exception {:02X})", self.code())
            }
        }
    };
}

exceptions! {
    IllegalFunction = 0x01, "illegal function";
    IllegalAddress = 0x02, "illegal data address";
    IllegalValue = 0x03, "illegal data value";
    DeviceFailure = 0x04, "server device failure";
    Acknowledge = 0x05, "acknowledged, still working on it";
    Busy = 0x06, "server device busy";
    MemoryParity = 0x08, "memory parity error";
    NoPath = 0x0A, "gateway path unavailable";
    NoTarget = 0x0B, "gateway target device failed to respond";
}

impl Request {
    /// The function code.
    #[must_use]
    pub fn function(&self) -> u8 {
        match self {
            Self::Read { table: Table::Coil, .. } => 1,
            Self::Read { table: Table::Discrete, .. } => 2,
            Self::Read { table: Table::Holding, .. } => 3,
            Self::Read { table: Table::Input, .. } => 4,
            Self::WriteCoil { .. } => 5,
            Self::WriteRegister { .. } => 6,
            Self::WriteCoils { .. } => 15,
            Self::WriteRegisters { .. } => 16,
            Self::MaskRegister { .. } => 22,
            Self::ReadWrite { .. } => 23,
            Self::Identify { .. } => 43,
        }
    }

    /// The sound request that reads (functions 1 to 4) of these bytes.
    #[must_use]
    pub fn reading(pdu: &[u8]) -> Option<Self> {
        let [function, a, b, c, d] = *pdu else { return None };
        let table = Table::ALL.into_iter().find(|table| {
            Self::Read { table: *table, start: 0, count: 1 }.function() == function
        })?;
        let (start, count) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let request = Self::Read { table, start, count };
        request.check().is_ok().then_some(request)
    }

    /// Whether it changes the device.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self, Self::Read { .. } | Self::Identify { .. })
    }

    /// What the answer looks like when the device does not refuse; the longest there is, where nobody knows before.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let length = match self {
            Self::Read { table, count, .. } => 2 + data_bytes(*table, *count),
            Self::ReadWrite { count, .. } => 2 + data_bytes(Table::Holding, *count),
            Self::Identify { .. } => MAX_PDU,
            Self::MaskRegister { .. } => 7,
            _ => 5,
        };
        Shape { function: self.function(), length }
    }

    /// Checks the protocol's limits.
    pub fn check(&self) -> Result<(), RequestError> {
        let (table, start, count, limit) = match self {
            Self::Read { table, start, count } => {
                let limit = if table.is_bits() { MAX_READ_BITS } else { MAX_READ_REGISTERS };
                (*table, *start, usize::from(*count), limit)
            }
            Self::WriteCoils { start, values } => {
                (Table::Coil, *start, values.len(), MAX_WRITE_BITS)
            }
            Self::WriteRegisters { start, values } => {
                (Table::Holding, *start, values.len(), MAX_WRITE_REGISTERS)
            }
            Self::ReadWrite { read, count, write, values } => {
                Self::Read { table: Table::Holding, start: *read, count: *count }.check()?;
                (Table::Holding, *write, values.len(), MAX_READ_WRITE_REGISTERS)
            }
            Self::WriteCoil { .. }
            | Self::WriteRegister { .. }
            | Self::MaskRegister { .. }
            | Self::Identify { .. } => return Ok(()),
        };
        if count == 0 || count > usize::from(limit) {
            return Err(RequestError::Count { table, count, limit });
        }
        if usize::from(start) + count > 65_536 {
            return Err(RequestError::End { start, count });
        }
        Ok(())
    }

    /// Appends the request as it travels. Call [`Request::check`] before.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.function());
        let word = |out: &mut Vec<u8>, value: u16| out.extend_from_slice(&value.to_be_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "check() limits the counts")]
        match self {
            Self::Read { start, count, .. } => {
                word(out, *start);
                word(out, *count);
            }
            Self::WriteCoil { number, on } => {
                word(out, *number);
                word(out, if *on { 0xFF00 } else { 0 });
            }
            Self::WriteRegister { number, value } => {
                word(out, *number);
                word(out, *value);
            }
            Self::WriteCoils { start, values } => {
                word(out, *start);
                word(out, values.len() as u16);
                out.push(values.len().div_ceil(8) as u8);
                let byte =
                    |bits: &[bool]| bits.iter().rev().fold(0, |b, on| b << 1 | u8::from(*on));
                out.extend(values.chunks(8).map(byte));
            }
            Self::WriteRegisters { start, values } => {
                word(out, *start);
                word(out, values.len() as u16);
                out.push(values.len() as u8 * 2);
                values.iter().for_each(|value| word(out, *value));
            }
            Self::MaskRegister { number, keep, set } => {
                word(out, *number);
                word(out, *keep);
                word(out, *set);
            }
            Self::ReadWrite { read, count, write, values } => {
                word(out, *read);
                word(out, *count);
                word(out, *write);
                word(out, values.len() as u16);
                out.push(values.len() as u8 * 2);
                values.iter().for_each(|value| word(out, *value));
            }
            Self::Identify { extent, object } => {
                out.extend([identification::MEI, extent.code(), *object]);
            }
        }
    }

    /// Checks an answer against this request: function, length, byte count, echoed address, count and values.
    pub fn accept(&self, pdu: &[u8]) -> Result<Response, AnswerError> {
        let (function, rest) = pdu.split_first().ok_or(AnswerError::Malformed("it is empty"))?;
        if *function == self.function() | 0x80 {
            let [code] = rest else { return Err(AnswerError::Malformed("length of an exception")) };
            return Err(AnswerError::Exception(Exception::from_code(*code)));
        }
        if *function != self.function() {
            return Err(AnswerError::Malformed("function"));
        }
        if let Self::Identify { extent, .. } = self {
            return Identification::parse(extent.code(), rest).map(Response::Identification);
        }
        if pdu.len() != self.shape().length {
            return Err(AnswerError::Malformed("length"));
        }
        let (table, count) = match self {
            Self::Read { table, count, .. } => (table, count),
            Self::ReadWrite { count, .. } => (&Table::Holding, count),
            _ => return self.accept_echo(pdu),
        };
        let (bytes, data) = rest.split_first().ok_or(AnswerError::Malformed("length"))?;
        if usize::from(*bytes) != data_bytes(*table, *count) {
            return Err(AnswerError::Malformed("byte count"));
        }
        Ok(if table.is_bits() {
            Response::Bits(data.into())
        } else {
            Response::Registers(data.into())
        })
    }

    /// An answer to a write repeats the request's first bytes: function, address, and value or quantity.
    fn accept_echo(&self, pdu: &[u8]) -> Result<Response, AnswerError> {
        let mut sent = Vec::with_capacity(MAX_PDU);
        self.encode(&mut sent);
        let part = |range: std::ops::Range<usize>| pdu.get(range.clone()) == sent.get(range);
        if !part(1..3) {
            return Err(AnswerError::Malformed("echoed address"));
        }
        if !part(3..self.shape().length) {
            return Err(AnswerError::Malformed("echoed value or quantity"));
        }
        Ok(Response::Written)
    }
}

/// Bytes that `count` items of a table take in an answer.
fn data_bytes(table: Table, count: u16) -> usize {
    if table.is_bits() { usize::from(count).div_ceil(8) } else { usize::from(count) * 2 }
}

impl Response {
    /// Register `at` of the answer, counted from 0.
    #[must_use]
    pub fn register(&self, at: usize) -> Option<u16> {
        let Self::Registers(bytes) = self else { return None };
        let bytes = bytes.get(at * 2..at * 2 + 2)?;
        bytes.try_into().ok().map(u16::from_be_bytes)
    }

    /// Bit `at` of the answer, counted from 0.
    #[must_use]
    pub fn bit(&self, at: usize) -> Option<bool> {
        let Self::Bits(bytes) = self else { return None };
        bytes.get(at / 8).map(|byte| byte >> (at % 8) & 1 == 1)
    }
}

/// Offers arbitrary bytes as an answer to requests of every function; must never panic.
pub fn fuzz_one(data: &[u8]) {
    let (seed, pdu) = data.split_at(data.len().min(3));
    let [a, b, c] = [0, 1, 2].map(|at| seed.get(at).copied().unwrap_or(0));
    let (start, count) = (u16::from_be_bytes([a, b]), u16::from(c));
    let reads = Table::ALL.map(|table| Request::Read { table, start, count });
    let writes = [
        Request::WriteCoil { number: start, on: c % 2 == 0 },
        Request::WriteRegister { number: start, value: count },
        Request::WriteCoils { start, values: vec![true; usize::from(c)].into() },
        Request::WriteRegisters { start, values: vec![count; usize::from(c)].into() },
        Request::MaskRegister { number: start, keep: count, set: !count },
        Request::ReadWrite { read: start, count, write: 1, values: vec![count; 2].into() },
        Request::Identify { extent: Extent::Basic, object: c },
    ];
    for request in reads.into_iter().chain(writes) {
        if request.check().is_ok()
            && let Ok(response) = request.accept(pdu)
        {
            let at = usize::from(a);
            assert!(response.register(at).is_none() || response.bit(at).is_none());
        }
    }
}
