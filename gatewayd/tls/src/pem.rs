//! PEM files.

use std::path::Path;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::TlsError;

/// The certificates of a file, in order.
pub(crate) fn certificates(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(what, path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|source| TlsError::Pem { what, path: path.into(), source })?;
    if all.is_empty() {
        return Err(TlsError::Empty { what, path: path.into(), kind: "certificate" });
    }
    Ok(all)
}

/// The first private key of a file: PKCS#8, PKCS#1 or SEC1, not encrypted.
pub(crate) fn key(what: &'static str, path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(what, path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|source| match source {
        pem::Error::NoItemsFound => {
            TlsError::Empty { what, path: path.into(), kind: "unencrypted private key" }
        }
        source => TlsError::Pem { what, path: path.into(), source },
    })
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { what, path: path.into(), source })
}
