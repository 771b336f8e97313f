//! A store of a later version, and damage that looks a little like one.

use std::sync::Arc;

use base::Clock;
use twin::{Name, Seq};

use super::sim::Sim;
use crate::disk::Disk;
use crate::segment::{self, Family, SegmentHeader};
use crate::vintage::refuse_later;
use crate::{OpenError, Options, open, snapshot};

/// A segment and a snapshot as a later version would begin them.
fn later(magic: &[u8; 8], length: usize) -> Vec<u8> {
    let mut bytes = [magic.as_slice(), &2_u16.to_le_bytes()].concat();
    bytes.resize(length - 4, 7);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

fn disk(name: &str, bytes: &[u8]) -> Sim {
    let disk = Sim::default();
    disk.create(name).unwrap().write_at(0, bytes).unwrap();
    disk
}

#[test]
fn what_a_later_version_wrote_is_refused_and_left_alone() {
    for (name, magic) in [("records-1-2.seg", segment::MAGIC), ("state-1.snap", snapshot::MAGIC)] {
        let bytes = later(magic, 64);
        let disk = Arc::new(disk(name, &bytes));
        let gateway: Name = "gw".parse().unwrap();
        let error = open(disk.clone(), Options::new(gateway), Clock::system()).err().unwrap();
        let words = error.to_string();
        assert!(matches!(error, OpenError::Later { found: 2, known: 1, .. }), "{words}");
        assert!(words.contains(name) && words.contains("later version"), "{words}");
        assert_eq!(disk.list().unwrap(), [name], "nothing was touched");
    }
}

#[test]
fn damage_is_not_taken_for_a_later_version() {
    for (name, magic) in [("records-1-2.seg", segment::MAGIC), ("state-1.snap", snapshot::MAGIC)] {
        let mut bytes = later(magic, 64);
        bytes[20] ^= 1;
        refuse_later(&disk(name, &bytes)).unwrap();
        refuse_later(&disk(name, &bytes[..9])).unwrap();
    }
}

#[test]
fn our_own_files_are_welcome() {
    let header = SegmentHeader { family: Family::Records, epoch: 1, id: 2, base: Seq(1) };
    refuse_later(&disk(&header.file_name(), &header.encode())).unwrap();
}
