//! The store on disks that fail on purpose.

mod admission;
mod check;
mod crash;
mod damage;
mod faults;
mod golden;
mod keeping;
mod model;
mod sim;
mod time;
mod tuning;
