//! What every protocol adapter shares.
