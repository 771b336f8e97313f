//! From an answer to readings: the hot path.

use twin::{Entry, Quality};

use crate::Response;
use crate::batch::Batch;
use crate::spec::PointSpec;

/// Appends the reading of every point of the batch, in the order of their indexes; nothing else is allocated but what
/// texts and bytes need. `offset` is microseconds after the change's source time.
///
/// Several batches of one group append to one list; sort it by index before it becomes a change.
pub fn decode_reply(
    points: &[PointSpec],
    batch: &Batch,
    response: &Response,
    offset: i64,
    entries: &mut Vec<Entry>,
) {
    entries.reserve(batch.items.len());
    for item in &batch.items {
        let Some(point) = points.get(item.point) else { continue };
        let at = usize::from(item.at);
        let (value, quality) = match response {
            Response::Registers(bytes) => {
                let count = usize::from(point.codec.count());
                point.codec.decode(bytes.get(at * 2..(at + count) * 2).unwrap_or_default())
            }
            Response::Bits(_) => match response.bit(at) {
                Some(bit) => point.codec.decode(&[u8::from(bit)]),
                None => point.codec.decode(&[]),
            },
            Response::Written | Response::Identification(_) => point.codec.decode(&[]),
        };
        entries.push(Entry { index: point.index, quality, value, offset });
    }
}

/// Appends, for every point of the batch, that it was not had, with this quality.
pub fn fail_reply(
    points: &[PointSpec],
    batch: &Batch,
    quality: Quality,
    offset: i64,
    entries: &mut Vec<Entry>,
) {
    let bad = batch.items.iter().filter_map(|item| points.get(item.point));
    entries.extend(bad.map(|p| Entry { index: p.index, quality, value: None, offset }));
}
