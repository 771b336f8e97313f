//! The machine against scripted and random peers.
