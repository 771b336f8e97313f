//! The client's side: whom we trust, who we are.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;

use crate::{TlsError, pem};

/// What a client's TLS is made from. The default trusts the system's authorities and has no certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientSettings {
    /// The authorities that may sign the server's certificate (PEM); `None` means the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, where the server asks for one (mTLS).
    pub identity: Option<Identity>,
    /// The name that the server's certificate must carry; `None` means the host that is connected to.
    pub server_name: Option<String>,
    /// Application protocols to offer (ALPN), e.g. `mqtt`.
    pub alpn: Vec<String>,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, followed by its intermediates (PEM).
    pub certificate: PathBuf,
    /// The private key (PEM, not encrypted).
    pub key: PathBuf,
}

/// A client's TLS, ready to connect. Cheap to clone.
///
/// The files are read when it is made: make it anew before a connection to use renewed certificates.
#[derive(Debug, Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl Client {
    /// Reads the files and checks that they fit together.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(settings: &ClientSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Versions)?
            .with_root_certificates(roots(settings)?);
        let mut config = match &settings.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = pem::certificates("client certificate", &identity.certificate)?;
                let key = pem::key("client key", &identity.key)?;
                builder.with_client_auth_cert(chain, key).map_err(|source| TlsError::Identity {
                    certificate: identity.certificate.clone(),
                    key: identity.key.clone(),
                    source,
                })?
            }
        };
        config.alpn_protocols = settings.alpn.iter().map(|name| name.clone().into()).collect();
        let server_name = settings.server_name.as_deref().map(name).transpose()?;
        Ok(Self { config: Arc::new(config), server_name })
    }

    /// The configuration for rustls.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }

    /// The name that the server must prove when we connect to `host`.
    ///
    /// # Errors
    /// [`TlsError::ServerName`] where no name is set and `host` is none.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        self.server_name.clone().map_or_else(|| name(host), Ok)
    }
}

fn name(text: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(text.to_owned()).map_err(|_| TlsError::ServerName(text.into()))
}

fn roots(settings: &ClientSettings) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &settings.ca_file {
        for certificate in pem::certificates("CA file", path)? {
            roots
                .add(certificate)
                .map_err(|source| TlsError::Anchor { path: path.clone(), source })?;
        }
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let reason = found.errors.first().map_or("nothing found".into(), ToString::to_string);
        return Err(TlsError::NoRoots { reason });
    }
    Ok(roots)
}
