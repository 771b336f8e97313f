//! Every way in which registers can be read, and which of them look like something a device would say.
//!
//! What a value looks like comes from the very codec that reads it later.

use std::fmt;

use twin::Value;

use crate::{Address, Characters, Format, Int, Kind, Order, PointCodec, TextPlace};

/// The fewest characters in a row that look like a text.
const TEXT: usize = 4;

/// One way to read some of the registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpretation {
    /// The first register.
    pub address: Address,
    /// How many registers it takes.
    pub count: u16,
    /// The type and order as the keys of a point say them: `f32, order CDAB`.
    pub format: String,
    /// The value.
    pub value: String,
    /// It looks like something that a device would say.
    pub plausible: bool,
}

impl fmt::Display for Interpretation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.plausible { '*' } else { ' ' };
        write!(f, "{mark} {:<24} {}", self.format, self.value)
    }
}

/// Every interpretation of these registers, which begin at `first`, in the order of their addresses.
#[must_use]
pub fn interpret(first: Address, registers: &[u16]) -> Vec<Interpretation> {
    let mut all = Vec::new();
    for at in 0..registers.len() {
        let Some(rest) = registers.get(at..) else { break };
        let Some(number) = u16::try_from(at).ok().and_then(|at| first.number.checked_add(at))
        else {
            break;
        };
        let address = Address { number, ..first };
        for (kind, width, orders) in kinds() {
            for order in orders {
                all.extend(one(address, rest, kind.clone(), width, order));
            }
        }
        for order in ["AB", "BA"] {
            all.extend(text(address, rest, order));
        }
    }
    all
}

/// The kinds that are tried, how many registers each takes, and the orders of its bytes.
fn kinds() -> Vec<(Kind, usize, &'static [&'static str])> {
    const TWO: &[&str] = &["AB", "BA"];
    const FOUR: &[&str] = &["ABCD", "CDAB", "BADC", "DCBA"];
    const EIGHT: &[&str] = &["ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA"];
    vec![
        (Kind::Int(Int::U16), 1, TWO),
        (Kind::Int(Int::I16), 1, TWO),
        (Kind::Bcd16, 1, TWO),
        (Kind::Int(Int::U32), 2, FOUR),
        (Kind::Int(Int::I32), 2, FOUR),
        (Kind::F32, 2, FOUR),
        (Kind::Bcd32, 2, FOUR),
        (Kind::Int(Int::U64), 4, EIGHT),
        (Kind::Int(Int::I64), 4, EIGHT),
        (Kind::F64, 4, EIGHT),
    ]
}

fn one(
    address: Address,
    registers: &[u16],
    kind: Kind,
    width: usize,
    order: &str,
) -> Option<Interpretation> {
    let registers = registers.get(..width)?;
    let first = ["AB", "ABCD", "ABCDEFGH"].contains(&order);
    let signed = matches!(kind, Kind::Int(Int::I16 | Int::I32 | Int::I64));
    let letters: Option<Order> = if first { None } else { Some(order.parse().ok()?) };
    let codec = PointCodec::new(address, Format { order: letters, ..Format::new(kind) }).ok()?;
    let bytes: Vec<u8> = registers.iter().flat_map(|register| register.to_be_bytes()).collect();
    let value = codec.decode(&bytes).0?;
    let plausible = match &value {
        // What is not negative reads the same without a sign.
        Value::Signed(n) if signed => (-1_000_000..0).contains(n) && !filler(registers),
        Value::Unsigned(n) if width == 1 => first && (1..=20_000).contains(n),
        // A half that is empty is no half: the other one says it alone.
        Value::Unsigned(n) => whole(registers) && (1..=100_000_000).contains(n),
        Value::Float(x) => whole(registers) && (1e-3..1e7).contains(&x.abs()),
        _ => false,
    };
    let of = codec.value_type();
    Some(Interpretation {
        address,
        count: codec.count(),
        format: codec.format().to_string(),
        value: of.show(&value).to_string(),
        plausible,
    })
}

/// Registers that are all ones are what devices say where there is nothing.
fn filler(registers: &[u16]) -> bool {
    registers.iter().all(|register| *register == 0xFFFF)
}

fn whole(registers: &[u16]) -> bool {
    !filler(registers) && registers.iter().any(|register| *register != 0)
}

/// A text that begins here, if there is one.
fn text(address: Address, registers: &[u16], order: &str) -> Option<Interpretation> {
    let pair = |register: &u16| {
        let [high, low] = register.to_be_bytes();
        if order == "AB" { [high, low] } else { [low, high] }
    };
    let bytes = registers.iter().flat_map(pair);
    let printable: Vec<u8> = bytes.take_while(|byte| (b' '..=b'~').contains(byte)).collect();
    let letters = printable.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
    if printable.len() < TEXT || letters * 2 < printable.len() {
        return None;
    }
    let count = u16::try_from(printable.len().div_ceil(2)).ok()?;
    let letters: Option<Order> = if order == "AB" { None } else { order.parse().ok() };
    let (pad, characters, place) = (0, Characters::Utf8, TextPlace::Both);
    let kind = Kind::Text { registers: count, pad, characters, place };
    let codec = PointCodec::new(address, Format { order: letters, ..Format::new(kind) }).ok()?;
    Some(Interpretation {
        address,
        count,
        format: codec.format().to_string(),
        value: String::from_utf8(printable).ok()?,
        plausible: true,
    })
}

/// Interprets arbitrary registers; must never panic.
pub fn fuzz_one(data: &[u8]) {
    let registers: Vec<u16> =
        data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let number = u16::MAX - u16::from(data.first().copied().unwrap_or(0));
    let first = Address { table: crate::Table::Holding, number };
    for one in interpret(first, &registers) {
        assert!(u32::from(one.address.number) + u32::from(one.count) <= 65_536);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Table;

    fn plausible(registers: &[u16]) -> Vec<(u16, String, String)> {
        let all = interpret(Address::new(Table::Holding, 10), registers);
        let marked = all.into_iter().filter(|one| one.plausible);
        marked.map(|one| (one.address.number, one.format, one.value)).collect()
    }

    fn has(registers: &[u16], at: u16, format: &str, value: &str) -> bool {
        plausible(registers).contains(&(at, format.to_owned(), value.to_owned()))
    }

    #[test]
    fn the_right_reading_is_among_the_marked_ones() {
        // 230.25 as IEEE 754 is 43 66 40 00.
        assert!(has(&[0x4366, 0x4000], 10, "f32", "230.25"));
        assert!(has(&[0x4000, 0x4366], 10, "f32, order CDAB", "230.25"));
        assert!(has(&[0x6643, 0x0040], 10, "f32, order BADC", "230.25"));
        assert!(has(&[0x0040, 0x6643], 10, "f32, order DCBA", "230.25"));
        assert!(has(&[0xFFF6], 10, "i16", "-10"));
        assert!(has(&[0, 230], 11, "u16", "230"));
        assert!(has(&[0x0001, 0x86A0], 10, "u32", "100000"));
        assert!(has(&[7, 0x504D, 0x3535, 0x3630], 11, "text of 3 registers", "PM5560"));
        assert!(has(&[0x4D50, 0x3535], 10, "text of 2 registers, order BA", "PM55"));
    }

    #[test]
    fn what_says_nothing_is_not_marked() {
        assert_eq!(plausible(&[0, 0, 0, 0]), []);
        assert_eq!(plausible(&[0xFFFF; 4]), []);
        let all = interpret(Address::new(Table::Holding, 0), &[1, 2, 3, 4]);
        let of = |format: &str| all.iter().filter(|one| one.format.starts_with(format)).count();
        assert_eq!((of("u16"), of("u32"), of("f32"), of("u64")), (8, 12, 12, 4));
    }
}
