//! What is wrong with which file, and what to do.

use std::io;
use std::path::PathBuf;

/// Why a TLS configuration could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {what} {}; check the path and that the daemon's user may read it", path.display())]
    Read {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A file is not PEM.
    #[error("{what} {} is damaged PEM; copy the file anew", path.display())]
    Pem {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The parser's words.
        source: rustls_pki_types::pem::Error,
    },
    /// A file holds nothing of the kind.
    #[error(
        "{what} {} holds no {kind} in PEM, the text form that begins with -----BEGIN; convert DER with `openssl x509 -inform \
         der` or `openssl pkey -inform der`", path.display()
    )]
    Empty {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What was looked for.
        kind: &'static str,
    },
    /// A certificate of the CA file cannot be an anchor of trust.
    #[error("CA file {} holds a certificate that cannot be trusted as an authority", path.display())]
    Anchor {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The system has no root certificates.
    #[error(
        "no root certificates found on this system; install ca-certificates or name a CA file ({reason})"
    )]
    NoRoots {
        /// What was tried.
        reason: String,
    },
    /// Certificate and key do not go together, or the key's kind is not supported.
    #[error(
        "client certificate {} and key {} cannot be used together; the key must be the one that the certificate was made \
         for", certificate.display(), key.display()
    )]
    Identity {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The server name is neither a DNS name nor an address.
    #[error(
        "\"{0}\" is neither a DNS name nor an IP address; set server_name to the name in the server's certificate"
    )]
    ServerName(String),
    /// The provider lacks what we ask for.
    #[error("the TLS library supports none of the protocol versions that we ask for")]
    Versions(#[source] rustls::Error),
}
