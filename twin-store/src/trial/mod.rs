//! The store on disks that fail on purpose.

mod admission;
mod check;
mod crash;
mod damage;
mod faults;
mod golden;
mod history;
mod keeping;
mod model;
mod outage;
mod report;
mod room;
mod sim;
mod thin;
mod time;
mod tuning;
