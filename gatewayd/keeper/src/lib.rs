//! The only holder of twin timers.
