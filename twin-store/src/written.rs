//! A commit as a frame: how it is appended, and whether it can be read back.

use twin::{Body, Commit, Description, Handle, State};

use crate::frame::{self, Header};
use crate::record::{self, Raw};

/// Appends a commit as a frame, under the description that its twin has now.
pub(crate) fn encode(out: &mut Vec<u8>, state: &State, commit: &Commit) {
    let handle = match &commit.body {
        Body::Twin { handle, .. } => *handle,
        Body::Gateway(_) => Handle(0),
    };
    let unknown;
    let description: &Description = match state.by_handle(handle) {
        Some(twin) => twin.description(),
        None => {
            unknown = Description::default();
            &unknown
        }
    };
    let start = frame::begin(out, commit.seq, commit.at, handle);
    let (kind, class) = record::put(out, commit.at, description, &commit.body);
    frame::finish(out, start, kind, class);
}

/// Whether the frame says something to whoever reads it: what could not be read back would be lost, and a snapshot with it.
pub(crate) fn readable(frame: &[u8], state: &State) -> bool {
    let Some((header, payload)) = Header::take(frame).zip(frame.get(frame::HEADER..)) else {
        return false;
    };
    let known = state.by_handle(header.handle).map(|t| (t.id(), &**t.description()));
    header.known().is_some_and(|(kind, _)| {
        let raw = Raw { kind, at: header.at, handle: header.handle, payload };
        record::take(raw, known).is_some()
    })
}
