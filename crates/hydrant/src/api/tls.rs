//! TLS for the API port: one certificate chain and key, both PEM. HTTP/1.1 alone is offered.

use std::{io, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use tokio_rustls::TlsAcceptor;

/// Why a certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file holds no PEM certificate, or a broken one.
    #[error("the certificate file holds no usable PEM certificate: {0}")]
    Certificate(io::Error),
    /// The key file holds no PEM private key, or a broken one.
    #[error("the key file holds no usable PEM private key: {0}")]
    Key(io::Error),
    /// They do not fit each other, or are of a kind that is not supported.
    #[error("certificate and key cannot be used together: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Makes an acceptor of a certificate chain and a private key, the contents of two PEM files.
///
/// # Errors
/// When one cannot be read or they do not fit.
pub fn acceptor(certificates: &[u8], key: &[u8]) -> Result<TlsAcceptor, TlsError> {
    let nothing = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let broken = |error: pem::Error| io::Error::new(io::ErrorKind::InvalidData, error);
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Certificate(broken(error)))?;
    if chain.is_empty() {
        return Err(TlsError::Certificate(nothing("no CERTIFICATE block")));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
        TlsError::Key(match error {
            pem::Error::NoItemsFound => nothing("no PRIVATE KEY block"),
            error => broken(error),
        })
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
