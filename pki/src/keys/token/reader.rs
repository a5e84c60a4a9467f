//! Decrypting on a token.
//!
//! Two hazards rule this file. A token's error codes and their timing may say whether a padding was
//! sound (Bleichenbacher, Manger), and a token that fails must not look like a message that cannot be
//! opened. So PKCS#1 v1.5 padding is never taken off by the token, and when a call is refused for whatever
//! reason the token is asked to open something that we made ourselves: if it can, the message was at
//! fault; if it cannot, the token is, and everybody waits.

use std::sync::{Arc, Mutex, PoisonError};

use cryptoki::{
    error::Error,
    mechanism::{
        Mechanism, MechanismType,
        elliptic_curve::{EcKdf, Ecdh1DeriveParams},
        rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource},
    },
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use openssl::{
    bn::{BigNum, BigNumContext},
    derive::Deriver,
    ec::{EcKey, PointConversionForm},
    encrypt::Encrypter,
    error::ErrorStack,
    hash::MessageDigest,
    pkey::{PKey, Public},
    rand::rand_bytes,
    rsa::Padding,
};
use zeroize::Zeroizing;

use super::{
    Token, TokenFault,
    fault::{is_gone, says},
    object,
    pool::{Stop, Trouble},
};
use crate::{
    certificate::{Certificate, KeyKind},
    der,
    keys::{DecryptionKey, KeyError, KeyUri, RsaPadding, substitute::substitute},
    pkcs1,
};

type Secret = Zeroizing<Vec<u8>>;

/// A decryption key on a token with its certificate.
pub struct TokenReader {
    token: Arc<Token>,
    shared: Arc<Shared>,
}

struct Shared {
    uri: KeyUri,
    certificate: Certificate,
    /// The key, and the login that it belongs to. Only a key that proved to be the right one is here.
    found: Mutex<Option<(u64, Found)>>,
}

#[derive(Clone)]
struct Found {
    key: ObjectHandle,
    ways: Ways,
    /// Something that the right key opens, for telling a bad message from a bad token.
    witness: Arc<Witness>,
}

/// How this token does what we need, found out by trying.
#[derive(Clone, Copy)]
enum Ways {
    Rsa {
        /// OAEP with SHA-256.
        oaep256: Way,
        /// OAEP with SHA-1; none where the token does neither that nor raw RSA.
        oaep1: Option<Way>,
        /// Raw RSA, which PKCS#1 v1.5 needs.
        raw: bool,
    },
    Curve(PointForm),
}

/// Who takes the padding off.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Token,
    Ourselves,
}

/// How the token wants the peer's point: bare, as PKCS#11 says, or in an OCTET STRING.
#[derive(Clone, Copy)]
enum PointForm {
    Bare,
    Wrapped,
}

enum Witness {
    /// A secret under OAEP with SHA-256.
    Rsa { wrapped: Vec<u8>, secret: Secret },
    /// A point and what we share with it.
    Curve { point: Vec<u8>, secret: Secret },
}

impl TokenReader {
    /// The certificate's key on a token. The token is not asked before [`Self::prove`] or the first use.
    pub fn new(token: Arc<Token>, uri: KeyUri, certificate: Certificate) -> Self {
        Self { token, shared: Arc::new(Shared { uri, certificate, found: Mutex::new(None) }) }
    }

    /// Whether the token is there and opens what is sealed for the certificate.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] with the reason.
    pub fn prove(&self) -> Result<(), KeyError> {
        let shared = Arc::clone(&self.shared);
        self.token
            .with(move |session, epoch| shared.found(session, epoch).map(drop))
            .map_err(|trouble| self.lost(trouble))
    }

    fn lost(&self, trouble: Trouble) -> KeyError {
        KeyError::Unavailable(match trouble {
            Trouble::Fault(fault) => fault,
            Trouble::Unclear(said) => self.token.fell(None, TokenFault::Device(said)),
        })
    }

    /// What an operation came to: an unclear refusal is the message's fault only if the token opens the witness.
    fn settled(&self, outcome: Result<Option<Secret>, Trouble>) -> Result<Secret, KeyError> {
        match outcome {
            Ok(secret) => secret.ok_or(KeyError::Unsupported),
            Err(Trouble::Fault(fault)) => Err(KeyError::Unavailable(fault)),
            Err(Trouble::Unclear(_)) => {
                let shared = Arc::clone(&self.shared);
                let opened = self.token.with(move |session, epoch| {
                    let found = shared.found(session, epoch)?;
                    shared.open_witness(session, &found)
                });
                opened.map_err(|trouble| self.lost(trouble))?;
                Err(KeyError::Failed)
            }
        }
    }
}

impl DecryptionKey for TokenReader {
    fn certificate(&self) -> &Certificate {
        &self.shared.certificate
    }

    fn rsa_decrypt(&self, padding: RsaPadding, wrapped: &[u8]) -> Result<Secret, KeyError> {
        let size = match self.shared.certificate.key() {
            KeyKind::Rsa(bits) => usize::try_from(bits.div_ceil(8)).map_err(|_| KeyError::Failed)?,
            _ => return Err(KeyError::Unsupported),
        };
        if wrapped.len() != size {
            return Err(KeyError::Failed);
        }
        let (shared, wrapped) = (Arc::clone(&self.shared), wrapped.to_vec());
        self.settled(self.token.with(move |session, epoch| {
            let found = shared.found(session, epoch)?;
            let Ways::Rsa { oaep256, oaep1, raw } = found.ways else { return Ok(None) };
            let secret = match padding {
                RsaPadding::Pkcs1 if raw => unpadded(pkcs1::message, &raw_rsa(session, found.key, &wrapped)?),
                RsaPadding::Pkcs1 => return Ok(None),
                RsaPadding::OaepSha256 => oaep(session, found.key, oaep256, Hash::Sha256, &wrapped)?,
                RsaPadding::OaepSha1 => match oaep1 {
                    Some(way) => oaep(session, found.key, way, Hash::Sha1, &wrapped)?,
                    None => return Ok(None),
                },
            };
            // Only a block too short for any key gives none.
            Ok(Some(secret.unwrap_or_default()))
        }))
    }

    fn ecdh(&self, peer: &PKey<Public>) -> Result<Secret, KeyError> {
        let ours = self.shared.certificate.public_key();
        let curve = |key: &PKey<Public>| key.ec_key().ok().and_then(|key| key.group().curve_name());
        if curve(ours).is_none() || curve(ours) != curve(peer) {
            return Err(KeyError::Unsupported);
        }
        let point = point(peer).map_err(|_| KeyError::Failed)?;
        let (shared, length) = (Arc::clone(&self.shared), shared_length(ours));
        self.settled(self.token.with(move |session, epoch| {
            let found = shared.found(session, epoch)?;
            let Ways::Curve(form) = found.ways else { return Ok(None) };
            Ok(Some(agree(session, found.key, form, &point, length)?))
        }))
    }
}

impl Shared {
    fn found(&self, session: &Session, epoch: u64) -> Result<Found, Stop> {
        let mut known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = known.as_ref().filter(|(of, _)| *of == epoch) {
            return Ok(found.clone());
        }
        let key = object::private(session, &self.uri)?;
        let library = |error: ErrorStack| Stop::Fault(TokenFault::Device(format!("making a trial: {error}")));
        let witness = Witness::of(&self.certificate).map_err(library)?;
        let ways = match &witness {
            Witness::Rsa { wrapped, secret } => self.rsa_ways(session, key, wrapped, secret)?,
            Witness::Curve { point, secret } => self.curve_ways(session, key, point, secret)?,
        };
        let found = Found { key, ways, witness: Arc::new(witness) };
        *known = Some((epoch, found.clone()));
        Ok(found)
    }

    fn rsa_ways(&self, session: &Session, key: ObjectHandle, wrapped: &[u8], secret: &Secret) -> Result<Ways, Stop> {
        let mut trials = Trials::default();
        let token = trials.of(oaep(session, key, Way::Token, Hash::Sha256, wrapped))?.flatten();
        let ourselves = trials.of(oaep(session, key, Way::Ourselves, Hash::Sha256, wrapped))?.flatten();
        let right = |found: &Option<Secret>| found.as_ref() == Some(secret);
        let raw = right(&ourselves);
        // The token's own code is preferred: the encoded block then never leaves it.
        let oaep256 = match (right(&token), raw) {
            (true, _) => Way::Token,
            (false, true) => Way::Ourselves,
            (false, false) => {
                let another = token.is_some() || ourselves.is_some() || self.another_modulus(session, key)?;
                return Err(self.unfit(trials, another));
            }
        };
        let sha1 = wrapped_for(&self.certificate, MessageDigest::sha1(), secret)
            .map_err(|error| Stop::Fault(TokenFault::Device(format!("making a trial: {error}"))))?;
        let token = trials.of(oaep(session, key, Way::Token, Hash::Sha1, &sha1))?.flatten();
        let oaep1 = if right(&token) { Some(Way::Token) } else { raw.then_some(Way::Ourselves) };
        Ok(Ways::Rsa { oaep256, oaep1, raw })
    }

    fn curve_ways(&self, session: &Session, key: ObjectHandle, point: &[u8], secret: &Secret) -> Result<Ways, Stop> {
        let mut trials = Trials::default();
        let length = secret.len();
        let mut answered = false;
        for form in [PointForm::Bare, PointForm::Wrapped] {
            let shared = trials.of(agree(session, key, form, point, length))?;
            if shared.as_ref() == Some(secret) {
                return Ok(Ways::Curve(form));
            }
            answered |= shared.is_some();
        }
        Err(self.unfit(trials, answered))
    }

    /// Whether the token says itself that its key is not the certificate's: a smaller modulus
    /// refuses the trial as too large, which alone looks like a key that cannot. Tokens that
    /// keep the modulus to themselves are judged by the trials.
    fn another_modulus(&self, session: &Session, key: ObjectHandle) -> Result<bool, Stop> {
        let Ok(rsa) = self.certificate.public_key().rsa() else { return Ok(false) };
        let said = match session.get_attributes(key, &[AttributeType::Modulus]) {
            Err(error) if is_gone(&error) => return Err(Stop::Said(error)),
            said => said.unwrap_or_default(),
        };
        let of_token = said.into_iter().find_map(|attribute| match attribute {
            Attribute::Modulus(modulus) => BigNum::from_slice(&modulus).ok(),
            _ => None,
        });
        Ok(of_token.is_some_and(|modulus| modulus != *rsa.n()))
    }

    /// Wrong answers come from another key, refusals from a key or token that cannot.
    fn unfit(&self, trials: Trials, another: bool) -> Stop {
        let name = self.uri.to_string();
        Stop::Fault(match trials.refused {
            Some(said) if !another => TokenFault::Unfit(name, said),
            _ => TokenFault::Foreign(name),
        })
    }

    fn open_witness(&self, session: &Session, found: &Found) -> Result<(), Stop> {
        let opened = match (found.witness.as_ref(), found.ways) {
            (Witness::Rsa { wrapped, secret }, Ways::Rsa { oaep256, .. }) => {
                oaep(session, found.key, oaep256, Hash::Sha256, wrapped)?.as_ref() == Some(secret)
            }
            (Witness::Curve { point, secret }, Ways::Curve(form)) => {
                agree(session, found.key, form, point, secret.len())? == *secret
            }
            _ => false,
        };
        if opened { Ok(()) } else { Err(Stop::Fault(TokenFault::Foreign(self.uri.to_string()))) }
    }
}

/// Trials of which some may be refused without harm.
#[derive(Default)]
struct Trials {
    refused: Option<String>,
}

impl Trials {
    fn of<T>(&mut self, outcome: Result<T, Error>) -> Result<Option<T>, Stop> {
        match outcome {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_gone(&error) => Err(Stop::Said(error)),
            Err(error) => {
                self.refused.get_or_insert_with(|| says(&error));
                Ok(None)
            }
        }
    }
}

impl Witness {
    fn of(certificate: &Certificate) -> Result<Self, ErrorStack> {
        let public = certificate.public_key();
        if let Ok(ours) = public.ec_key() {
            let theirs = PKey::from_ec_key(EcKey::generate(ours.group())?)?;
            let mut deriver = Deriver::new(&theirs)?;
            deriver.set_peer(public)?;
            let secret = Zeroizing::new(deriver.derive_to_vec()?);
            let theirs = PKey::public_key_from_der(&theirs.public_key_to_der()?)?;
            return Ok(Self::Curve { point: point(&theirs)?, secret });
        }
        let mut secret = Zeroizing::new(vec![0; 32]);
        rand_bytes(&mut secret)?;
        Ok(Self::Rsa { wrapped: wrapped_for(certificate, MessageDigest::sha256(), &secret)?, secret })
    }
}

fn wrapped_for(certificate: &Certificate, digest: MessageDigest, secret: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let mut encrypter = Encrypter::new(certificate.public_key())?;
    encrypter.set_rsa_padding(Padding::PKCS1_OAEP)?;
    encrypter.set_rsa_oaep_md(digest)?;
    encrypter.set_rsa_mgf1_md(digest)?;
    let mut wrapped = vec![0; encrypter.encrypt_len(secret)?];
    let length = encrypter.encrypt(secret, &mut wrapped)?;
    wrapped.truncate(length);
    Ok(wrapped)
}

fn point(key: &PKey<Public>) -> Result<Vec<u8>, ErrorStack> {
    let key = key.ec_key()?;
    let mut context = BigNumContext::new()?;
    key.public_key().to_bytes(key.group(), PointConversionForm::UNCOMPRESSED, &mut context)
}

fn shared_length(key: &PKey<Public>) -> usize {
    usize::try_from(key.bits().div_ceil(8)).unwrap_or_default()
}

#[derive(Clone, Copy)]
enum Hash {
    Sha256,
    Sha1,
}

fn oaep(session: &Session, key: ObjectHandle, way: Way, hash: Hash, wrapped: &[u8]) -> Result<Option<Secret>, Error> {
    let (digest, mechanism, mask) = match hash {
        Hash::Sha256 => (MessageDigest::sha256(), MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
        Hash::Sha1 => (MessageDigest::sha1(), MechanismType::SHA1, PkcsMgfType::MGF1_SHA1),
    };
    match way {
        Way::Token => {
            let params = PkcsOaepParams::new(mechanism, mask, PkcsOaepSource::empty());
            session.decrypt(&Mechanism::RsaPkcsOaep(params), key, wrapped).map(|secret| Some(Zeroizing::new(secret)))
        }
        Way::Ourselves => {
            let block = raw_rsa(session, key, wrapped)?;
            Ok(unpadded(|block, random| pkcs1::oaep::message(block, digest, random), &block))
        }
    }
}

/// The encoded block: as long as the modulus, whatever zeros the token leaves out.
fn raw_rsa(session: &Session, key: ObjectHandle, wrapped: &[u8]) -> Result<Secret, Error> {
    let block = Zeroizing::new(session.decrypt(&Mechanism::RsaX509, key, wrapped)?);
    if block.len() >= wrapped.len() {
        return Ok(block);
    }
    let mut whole = Zeroizing::new(vec![0; wrapped.len().saturating_sub(block.len())]);
    whole.reserve_exact(block.len());
    whole.extend_from_slice(&block);
    Ok(whole)
}

fn unpadded(reader: impl Fn(&[u8], [u8; 32]) -> Option<Secret>, block: &[u8]) -> Option<Secret> {
    reader(block, *substitute(block).ok()?)
}

fn agree(session: &Session, key: ObjectHandle, form: PointForm, point: &[u8], length: usize) -> Result<Secret, Error> {
    let wrapped;
    let public = match form {
        PointForm::Bare => point,
        PointForm::Wrapped => {
            wrapped = der::octet_string(point);
            &wrapped
        }
    };
    let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), public));
    let template = [
        Attribute::Token(false),
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::ValueLen(u64::try_from(length)?.into()),
    ];
    let shared = session.derive_key(&mechanism, key, &template)?;
    let value = session.get_attributes(shared, &[AttributeType::Value]);
    session.destroy_object(shared)?;
    let value = value?.into_iter().find_map(|attribute| match attribute {
        Attribute::Value(value) => Some(Zeroizing::new(value)),
        _ => None,
    });
    value.filter(|value| value.len() == length).ok_or(Error::InvalidValue)
}
