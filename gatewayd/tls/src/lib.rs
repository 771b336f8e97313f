//! Certificates, credentials and trust, made into rustls configurations.
