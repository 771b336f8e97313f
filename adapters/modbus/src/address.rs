//! Where a value stands in a device: its table and its number in that table.

use std::fmt;
use std::str::FromStr;

/// The four tables of the Modbus data model (Application Protocol V1.1b3, 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Bits that can be read and written.
    Coil,
    /// Bits that can only be read.
    Discrete,
    /// Registers of 16 bits that can only be read.
    Input,
    /// Registers of 16 bits that can be read and written.
    Holding,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 4] = [Self::Coil, Self::Discrete, Self::Input, Self::Holding];

    /// Whether its items are single bits.
    #[must_use]
    pub fn is_bits(self) -> bool {
        matches!(self, Self::Coil | Self::Discrete)
    }

    /// Whether its items can be written.
    #[must_use]
    pub fn is_writable(self) -> bool {
        matches!(self, Self::Coil | Self::Holding)
    }

    /// The word used in configuration, CLI and messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Coil => "coil",
            Self::Discrete => "discrete",
            Self::Input => "input",
            Self::Holding => "holding",
        }
    }
}

/// A table and a number in it, from 0, as it travels in a request.
///
/// Written `holding:107` (number as on the wire) or as a manual's five or six digit reference, which counts from 1:
/// `40108` or `400108`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The table.
    pub table: Table,
    /// The number in the table, from 0.
    pub number: u16,
}

impl Address {
    /// The item `number` of `table`, counted from 0.
    #[must_use]
    pub const fn new(table: Table, number: u16) -> Self {
        Self { table, number }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.table.word(), self.number)
    }
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It has neither form.
    #[error(
        "{0:?} is no address: write table:number (\"holding:107\") or a reference of five or six digits (\"40108\")"
    )]
    Form(String),
    /// The word before the colon names no table.
    #[error("{0:?} is no table: use coil, discrete, input or holding")]
    Table(String),
    /// The number does not exist in any table.
    #[error("{0:?} lies outside the table: numbers go from 0 to 65535, references from 1 to 65536")]
    Number(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if let Some((word, number)) = text.split_once(':') {
            let table = Table::ALL.into_iter().find(|table| table.word() == word);
            let table = table.ok_or_else(|| AddressError::Table(word.into()))?;
            if !digits(number) {
                return Err(AddressError::Form(text.into()));
            }
            let number = number.parse().map_err(|_| AddressError::Number(text.into()))?;
            return Ok(Self { table, number });
        }
        if !digits(text) || !matches!(text.len(), 5 | 6) {
            return Err(AddressError::Form(text.into()));
        }
        let (first, rest) = text.split_at(1);
        let table = match first {
            "0" => Table::Coil,
            "1" => Table::Discrete,
            "3" => Table::Input,
            "4" => Table::Holding,
            _ => return Err(AddressError::Form(text.into())),
        };
        let reference: u32 = rest.parse().map_err(|_| AddressError::Number(text.into()))?;
        let number = reference.checked_sub(1).and_then(|n| u16::try_from(n).ok());
        Ok(Self { table, number: number.ok_or_else(|| AddressError::Number(text.into()))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_name_the_same_item() {
        // Application Protocol V1.1b3, 4.4: item X of the data model is addressed X-1 in the PDU.
        for (text, table, number) in [
            ("holding:107", Table::Holding, 107),
            ("40108", Table::Holding, 107),
            ("400108", Table::Holding, 107),
            ("30001", Table::Input, 0),
            ("00020", Table::Coil, 19),
            ("10197", Table::Discrete, 196),
            ("465536", Table::Holding, 65_535),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address, Address::new(table, number), "{text}");
            assert_eq!(address.to_string().parse(), Ok(address));
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for text in ["", "7", "40000", "465537", "holding:65536", "holding:-1", "holding:", "50001"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        assert_eq!("holdng:1".parse::<Address>(), Err(AddressError::Table("holdng".into())));
    }
}
