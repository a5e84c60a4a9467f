//! Signing on a token: the digest is made here, the token does the private half.

use std::sync::{Arc, Mutex, PoisonError};

use cryptoki::{
    error::{Error, RvError},
    mechanism::{
        Mechanism, MechanismType,
        eddsa::{EddsaParams, EddsaSignatureScheme},
        rsa::{PkcsMgfType, PkcsPssParams},
    },
    object::ObjectHandle,
    session::Session,
};
use openssl::{
    bn::BigNum,
    ecdsa::EcdsaSig,
    hash::{MessageDigest, hash},
    pkey::{PKey, Public},
    rand::rand_bytes,
    rsa::Padding,
    sign::{RsaPssSaltlen, Verifier},
};

use super::{
    Token, TokenFault,
    fault::{is_gone, says},
    object,
    pool::{Stop, Trouble},
};
use crate::{
    certificate::{Certificate, KeyKind, key_kind},
    der,
    keys::{KeyError, KeyUri, SignatureScheme, SigningKey},
};

/// A private key on a token, known by its public half.
pub struct TokenKey {
    token: Arc<Token>,
    shared: Arc<Shared>,
}

struct Shared {
    uri: KeyUri,
    public: PKey<Public>,
    kind: KeyKind,
    /// The key's handle, and the login that it belongs to. Only a key that proved to be the right one is here.
    found: Mutex<Option<(u64, ObjectHandle)>>,
}

impl TokenKey {
    /// The key whose public half is known. The token is not asked before the first use.
    pub fn new(token: Arc<Token>, uri: KeyUri, public: PKey<Public>) -> Self {
        let kind = key_kind(&public);
        Self { token, shared: Arc::new(Shared { uri, public, kind, found: Mutex::new(None) }) }
    }

    /// The key with the public half that lies beside it on the token.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`].
    pub fn open(token: Arc<Token>, uri: KeyUri) -> Result<Self, KeyError> {
        let asked = uri.clone();
        let public =
            token.with(move |session, _| object::public(session, &asked)).map_err(|t| unavailable(&token, t))?;
        Ok(Self::new(token, uri, public))
    }

    /// Its public half.
    pub fn public_key(&self) -> &PKey<Public> {
        &self.shared.public
    }

    /// Its kind.
    pub fn kind(&self) -> KeyKind {
        self.shared.kind
    }

    /// The token that it is on.
    pub fn token(&self) -> &Arc<Token> {
        &self.token
    }

    /// Signs a message; ECDSA values are DER.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`], [`KeyError::Failed`] or [`KeyError::Unavailable`].
    pub fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        if !SignatureScheme::of_key(self.shared.kind).contains(&scheme) {
            return Err(KeyError::Unsupported);
        }
        let input = input(scheme, message)?;
        let shared = Arc::clone(&self.shared);
        let signed = self.token.with(move |session, epoch| {
            let key = shared.key(session, epoch)?;
            Ok(raw(session, key, scheme, &input)?)
        });
        let signature = signed.map_err(|trouble| unavailable(&self.token, trouble))?;
        finished(scheme, signature)
    }

    /// Whether the token is there and holds the key that belongs to the public half.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] with the reason.
    pub fn prove(&self) -> Result<(), KeyError> {
        let shared = Arc::clone(&self.shared);
        let proven = self.token.with(move |session, epoch| shared.key(session, epoch).map(drop));
        proven.map_err(|trouble| unavailable(&self.token, trouble))
    }
}

/// What a token refuses to sign does not depend on what was to be signed: the token is at fault.
fn unavailable(token: &Token, trouble: Trouble) -> KeyError {
    KeyError::Unavailable(match trouble {
        Trouble::Fault(fault) => fault,
        Trouble::Unclear(said) => token.fell(None, TokenFault::Device(said)),
    })
}

impl Shared {
    /// The key, once per login with the proof that it is the one.
    fn key(&self, session: &Session, epoch: u64) -> Result<ObjectHandle, Stop> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, key)) = found.filter(|(known, _)| *known == epoch) {
            return Ok(key);
        }
        let key = object::private(session, &self.uri)?;
        self.prove(session, key)?;
        *found = Some((epoch, key));
        Ok(key)
    }

    fn prove(&self, session: &Session, key: ObjectHandle) -> Result<(), Stop> {
        let foreign = || Stop::Fault(TokenFault::Foreign(self.uri.to_string()));
        let scheme = *SignatureScheme::of_key(self.kind).first().ok_or_else(foreign)?;
        let mut challenge = [0u8; 32];
        rand_bytes(&mut challenge).map_err(|_| foreign())?;
        let input = input(scheme, &challenge).map_err(|_| foreign())?;
        let signature = raw(session, key, scheme, &input).map_err(|error| self.unfit(error))?;
        let signature = finished(scheme, signature).map_err(|_| foreign())?;
        if verifies(&self.public, scheme, &challenge, &signature) { Ok(()) } else { Err(foreign()) }
    }

    fn unfit(&self, error: Error) -> Stop {
        let cannot = matches!(
            error,
            Error::Pkcs11(
                RvError::KeyFunctionNotPermitted
                    | RvError::KeyTypeInconsistent
                    | RvError::MechanismInvalid
                    | RvError::KeySizeRange,
                _
            )
        );
        match error {
            error if is_gone(&error) || !cannot => Stop::Said(error),
            error => Stop::Fault(TokenFault::Unfit(self.uri.to_string(), says(&error))),
        }
    }
}

/// What the token is given to sign.
fn input(scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    let digest = |digest| hash(digest, message).map_err(|_| KeyError::Failed);
    Ok(match scheme {
        SignatureScheme::RsaPkcs1Sha256 => {
            // DigestInfo (RFC 8017 §9.2): CKM_RSA_PKCS is what every token has, cards included.
            let algorithm = der::sequence(&[der::oid("2.16.840.1.101.3.4.2.1").ok_or(KeyError::Failed)?, der::null()]);
            der::sequence(&[algorithm, der::octet_string(&digest(MessageDigest::sha256())?)])
        }
        SignatureScheme::RsaPssSha256 | SignatureScheme::EcdsaSha256 => digest(MessageDigest::sha256())?.to_vec(),
        SignatureScheme::EcdsaSha384 => digest(MessageDigest::sha384())?.to_vec(),
        SignatureScheme::Ed25519 => message.to_vec(),
    })
}

fn raw(session: &Session, key: ObjectHandle, scheme: SignatureScheme, input: &[u8]) -> Result<Vec<u8>, Error> {
    let mechanism = match scheme {
        SignatureScheme::RsaPkcs1Sha256 => Mechanism::RsaPkcs,
        SignatureScheme::RsaPssSha256 => Mechanism::RsaPkcsPss(PkcsPssParams {
            hash_alg: MechanismType::SHA256,
            mgf: PkcsMgfType::MGF1_SHA256,
            s_len: 32u64.into(),
        }),
        SignatureScheme::EcdsaSha256 | SignatureScheme::EcdsaSha384 => Mechanism::Ecdsa,
        SignatureScheme::Ed25519 => Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)),
    };
    session.sign(&mechanism, key, input)
}

/// A token gives r and s one after the other; CMS and X.509 want them as DER.
fn finished(scheme: SignatureScheme, signature: Vec<u8>) -> Result<Vec<u8>, KeyError> {
    if !matches!(scheme, SignatureScheme::EcdsaSha256 | SignatureScheme::EcdsaSha384) {
        return Ok(signature);
    }
    let half = signature.len().div_euclid(2);
    let (r, s) = signature.split_at_checked(half).filter(|(r, s)| r.len() == s.len()).ok_or(KeyError::Failed)?;
    let number = |octets| BigNum::from_slice(octets);
    number(r)
        .and_then(|r| EcdsaSig::from_private_components(r, number(s)?))
        .and_then(|signature| signature.to_der())
        .map_err(|_| KeyError::Failed)
}

fn verifies(public: &PKey<Public>, scheme: SignatureScheme, message: &[u8], signature: &[u8]) -> bool {
    let verifier = match scheme {
        SignatureScheme::Ed25519 => Verifier::new_without_digest(public),
        SignatureScheme::EcdsaSha384 => Verifier::new(MessageDigest::sha384(), public),
        _ => Verifier::new(MessageDigest::sha256(), public),
    };
    let verified = verifier.and_then(|mut verifier| {
        if scheme == SignatureScheme::RsaPssSha256 {
            verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
            verifier.set_rsa_mgf1_md(MessageDigest::sha256())?;
            verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
        }
        verifier.verify_oneshot(signature, message)
    });
    verified.unwrap_or(false)
}

/// A signing key on a token with its certificate.
pub struct TokenSigner {
    key: TokenKey,
    certificate: Certificate,
    chain: Vec<Certificate>,
}

impl TokenSigner {
    /// The certificate's key on a token. The token is not asked before [`Self::prove`] or the first use.
    pub fn new(token: Arc<Token>, uri: KeyUri, certificate: Certificate, chain: Vec<Certificate>) -> Self {
        let key = TokenKey::new(token, uri, certificate.public_key().clone());
        Self { key, certificate, chain }
    }

    /// Whether the token is there and holds the certificate's key.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] with the reason.
    pub fn prove(&self) -> Result<(), KeyError> {
        self.key.prove()
    }
}

impl SigningKey for TokenSigner {
    fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    fn schemes(&self) -> &[SignatureScheme] {
        SignatureScheme::of_key(self.certificate.key())
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.key.sign(scheme, message)
    }
}
