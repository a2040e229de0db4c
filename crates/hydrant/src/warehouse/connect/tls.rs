//! Whom a node trusts to be a database, and how a TLS session with one is begun.
//!
//! `require` encrypts without asking with whom; `verify-ca` and `verify-full` ask. In all of them the server proves
//! that it has the key of the certificate that it shows.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};

/// Whose certificates are accepted.
#[derive(Debug)]
pub(super) struct Trusted {
    authorities: RootCertStore,
    /// Accepted as they stand; the system's are authorities only.
    themselves: Vec<CertificateDer<'static>>,
}

impl Trusted {
    pub(super) fn of_pem(pem: &[u8]) -> io::Result<Self> {
        let themselves: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if themselves.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "no CERTIFICATE block in it",
            ));
        }
        let mut authorities = RootCertStore::empty();
        for certificate in &themselves {
            authorities
                .add(certificate.clone())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        Ok(Trusted {
            authorities,
            themselves,
        })
    }

    /// Those of the system, as authorities.
    pub(super) fn of_system() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in found.errors {
            tracing::warn!(%error, "some of the system's certificates cannot be read");
        }
        let mut authorities = RootCertStore::empty();
        authorities.add_parsable_certificates(found.certs);
        Trusted {
            authorities,
            themselves: Vec::new(),
        }
    }
}

/// Sessions that check so much of the server's certificate.
///
/// # Errors
/// When the library cannot do TLS at all.
pub(super) fn config(
    provider: Arc<CryptoProvider>,
    check: Check,
) -> Result<ClientConfig, rustls::Error> {
    let verifier = Arc::new(Verifier {
        provider: provider.clone(),
        check,
    });
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// What of a server's certificate is checked.
#[derive(Clone, Debug)]
pub(super) enum Check {
    Nothing,
    Authority(Arc<Trusted>),
    AuthorityAndName(Arc<Trusted>),
}

#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    check: Check,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (trusted, named) = match &self.check {
            Check::Nothing => return Ok(ServerCertVerified::assertion()),
            Check::Authority(trusted) => (trusted, false),
            Check::AuthorityAndName(trusted) => (trusted, true),
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if !trusted.themselves.iter().any(|one| one == end_entity) {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &trusted.authorities,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        if named {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
