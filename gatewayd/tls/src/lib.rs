//! Certificates, credentials and trust, made into rustls configurations.
//!
//! One crypto provider, ring, is named here explicitly: the process default is never used.
//! Deliberately absent: sockets, key generation, any switch that turns verification off.

mod advice;
mod client;
mod error;
mod pem;

pub use advice::{advice, is_tls};
pub use client::{Client, ClientSettings, Identity};
pub use error::TlsError;
