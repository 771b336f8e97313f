//! The store on disks that fail on purpose.

mod check;
mod crash;
mod faults;
mod model;
mod sim;
