//! The two ways in which a serial line carries a protocol data unit, behind one set of words.

use crate::pdu::MAX_PDU;
use crate::{AnswerError, Request, Response, ascii_frame, rtu_frame};

/// How frames look on a serial line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SerialFraming {
    /// Bytes with a CRC, told apart by silence.
    #[default]
    Rtu,
    /// Hexadecimal digits between a colon and a line end, with an LRC.
    Ascii,
}

/// What was found among the bytes that were heard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The awaited answer, or the unit's refusal.
    Answer(Result<Response, AnswerError>),
    /// The own request, which ends here.
    Echo(usize),
    /// All that the answer should be, but for its checksum, and nothing else.
    Damaged,
    /// Not yet what is awaited; a sound frame of this unit was among it.
    Nothing(Option<u8>),
}

impl SerialFraming {
    /// The characters of the longest frame.
    pub(crate) const LONGEST: usize = 2 * (MAX_PDU + 2) + 3;

    /// A request as it travels.
    pub(crate) fn encode(self, unit: u8, request: &Request) -> Vec<u8> {
        match self {
            Self::Rtu => rtu_frame::encode(unit, request),
            Self::Ascii => ascii_frame::encode(unit, request),
        }
    }

    /// How many characters a protocol data unit of this length takes.
    pub(crate) fn characters(self, pdu: usize) -> usize {
        match self {
            Self::Rtu => pdu + 3,
            Self::Ascii => 2 * (pdu + 2) + 3,
        }
    }

    /// Looks for the answer to `request`; `own` is the request's frame where it must be taken off when heard.
    ///
    /// Sound frames that are not the answer are passed over whole, so that nothing inside them is taken for a frame.
    pub(crate) fn find(
        self,
        heard: &[u8],
        unit: u8,
        request: &Request,
        own: Option<&[u8]>,
    ) -> Found {
        match self {
            Self::Rtu => rtu_frame::find(heard, unit, request, own),
            Self::Ascii => ascii_frame::find(heard, unit, request, own),
        }
    }
}

/// Whether an echo of this request can be told from its answer: single writes are answered by their own copy.
pub(crate) fn tells_echo(request: &Request) -> bool {
    !matches!(
        request,
        Request::WriteCoil { .. } | Request::WriteRegister { .. } | Request::MaskRegister { .. }
    )
}
