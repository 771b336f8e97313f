//! What applications keep: batches of opaque bytes, in a family of their own. Issue 2 has no user of it yet.

use crate::codec::{Put, Take};

/// Puts a batch of an application's keyspace.
pub(crate) fn put(out: &mut impl Put, space: &str, batch: &[u8]) {
    out.put_text(space);
    out.put_bytes(batch);
}

/// Takes the keyspace's name and the batch.
pub(crate) fn take<'a>(take: &mut Take<'a>) -> Option<(&'a str, &'a [u8])> {
    Some((take.str()?, take.bytes()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_batch_comes_back(space in ".{0,9}", batch in prop::collection::vec(any::<u8>(), 0..99)) {
            let mut out = Vec::new();
            put(&mut out, &space, &batch);
            prop_assert_eq!(take(&mut Take(&out)), Some((&*space, &*batch)));
        }
    }
}
