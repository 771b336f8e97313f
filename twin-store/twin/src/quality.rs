//! How far a reading can be trusted, and why not further.

use std::fmt;

/// The quality of a reading: a class, the cause when it is not good, and the asset's own code where it gave one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quality {
    /// Good, uncertain or bad.
    pub class: Class,
    /// Why it is not good; [`Cause::None`] when it is.
    pub cause: Cause,
    /// The protocol's own code (Modbus exception, OPC UA status code), if it gave one.
    pub code: Option<u32>,
}

/// The three classes of quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The value is the asset's own.
    Good = 0,
    /// The value may be used with care.
    Uncertain = 1,
    /// The value is the last one known and must not be used as current.
    Bad = 2,
}

macro_rules! causes {
    ($($variant:ident = $code:literal, $word:literal, $doc:literal;)*) => {
        /// Why a reading is not good. The codes are part of the disk format and never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Cause { $(#[doc = $doc] $variant = $code,)* }

        impl Cause {
            /// Every cause.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word used in configuration, CLI and messages.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

causes! {
    None = 0, "none", "There is nothing to say.";
    NotRead = 1, "not-read", "It has not been read yet.";
    NotConnected = 2, "not-connected", "The line is not there.";
    Timeout = 3, "timeout", "The asset did not answer in time.";
    Refused = 4, "refused", "The asset answered with a refusal.";
    Malformed = 5, "malformed", "The answer was not what the protocol allows.";
    OutOfRange = 6, "out-of-range", "The value lies outside its described range.";
    NotAValue = 7, "not-a-value", "The asset says that it has no value here.";
    Stale = 8, "stale", "It is older than its maximum age.";
    Restored = 9, "restored", "It was restored from the store after a restart.";
    Substituted = 10, "substituted", "It was put in place of the asset's value.";
    DeviceFault = 11, "device-fault", "The asset reports a fault of its own.";
    Paused = 12, "paused", "The asset is not asked: its breaker is open or an operator stopped it.";
    Other = 255, "other", "A cause that this version does not know.";
}

impl Cause {
    /// The cause with this code; [`Cause::Other`] where it is unknown.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        Self::ALL.iter().copied().find(|cause| *cause as u8 == code).unwrap_or(Self::Other)
    }
}

impl Quality {
    /// The asset's own value.
    pub const GOOD: Self = Self { class: Class::Good, cause: Cause::None, code: None };

    /// Bad for this cause.
    #[must_use]
    pub const fn bad(cause: Cause) -> Self {
        Self { class: Class::Bad, cause, code: None }
    }

    /// Uncertain for this cause.
    #[must_use]
    pub const fn uncertain(cause: Cause) -> Self {
        Self { class: Class::Uncertain, cause, code: None }
    }

    /// The same with the asset's own code.
    #[must_use]
    pub const fn with_code(self, code: u32) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Whether the value is what the asset says now, plausible or not.
    #[must_use]
    pub fn is_said(self) -> bool {
        self.is_good() || self.cause == Cause::OutOfRange
    }

    /// Whether the class is good.
    #[must_use]
    pub fn is_good(self) -> bool {
        self.class == Class::Good
    }
}

impl Class {
    /// The class with this code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Good, Self::Uncertain, Self::Bad].into_iter().find(|class| *class as u8 == code)
    }

    /// The word used in configuration, CLI and messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Uncertain => "uncertain",
            Self::Bad => "bad",
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class.word())?;
        if self.cause != Cause::None {
            write!(f, " ({}", self.cause.word())?;
            if let Some(code) = self.code {
                write!(f, ", code {code}")?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back() {
        for cause in Cause::ALL {
            assert_eq!(Cause::from_code(*cause as u8), *cause);
        }
        assert_eq!(Cause::from_code(200), Cause::Other);
        assert_eq!(Class::from_code(2), Some(Class::Bad));
        assert_eq!(Class::from_code(3), None);
    }

    #[test]
    fn a_quality_says_why() {
        assert_eq!(Quality::bad(Cause::Refused).with_code(2).to_string(), "bad (refused, code 2)");
        assert_eq!(Quality::GOOD.to_string(), "good");
    }
}
