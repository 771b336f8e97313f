//! Failures of a handshake in words that say what to do.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// Whether TLS, not the network below it, failed.
#[must_use]
pub fn is_tls(error: &io::Error) -> bool {
    inner(error).is_some()
}

/// What to do about a connection that TLS ended.
#[must_use]
pub fn advice(error: &io::Error) -> String {
    let Some(error) = inner(error) else {
        return "the connection broke during the handshake; check that the port speaks TLS".into();
    };
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => alerted(*alert),
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
            "the answer is not TLS; check that the port speaks TLS".into()
        }
        Error::NoApplicationProtocol => {
            "the server speaks none of the offered application protocols; change alpn".into()
        }
        error => format!("{error}; see the server's log"),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "the server's certificate is signed by an authority that we do not trust; put that authority's certificate \
             into ca_file"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired; renew it there, or set this machine's clock if that is wrong"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet; set this machine's clock"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is made for another name; connect by that name or set server_name to it"
        }
        CertificateError::Revoked => "the server's certificate is revoked; renew it there",
        error => return format!("the server's certificate is not acceptable ({error})"),
    }
    .into()
}

fn alerted(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "the server asks for a client certificate; set certificate and key"
        }
        AlertDescription::UnknownCA => {
            "the server does not trust the authority of our client certificate; add that authority there"
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => {
            "the server does not accept our client certificate; see its log, and check the certificate's dates and issuer"
        }
        AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
            "the server shares no TLS version or cipher with us, or misses our client certificate; it must speak TLS 1.2 \
             or 1.3"
        }
        AlertDescription::NoApplicationProtocol => {
            "the server speaks none of the offered application protocols; change alpn"
        }
        AlertDescription::UnrecognisedName => {
            "the server does not know the name that we asked for; set server_name"
        }
        alert => return format!("the server ended the handshake ({alert:?}); see its log"),
    }
    .into()
}

/// rustls's own error, however deep the io error has it.
fn inner(error: &io::Error) -> Option<&Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> =
        error.get_ref().map(|error| error as &(dyn std::error::Error + 'static));
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(deeper) => Some(deeper),
            None => error.source(),
        };
    }
    None
}
