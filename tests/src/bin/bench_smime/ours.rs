//! The way of the gateway: read strictly, seal in two passes over a source; open through all layers.

use std::sync::Arc;

use mail::{Access, Inside, Limits, Opened, Profile, SealPlan, SealRequest, Signature, source::InMemory};
use pki::cms::{self, ContentCipher, RsaTransport};
use pki::keys::{DecryptionKey, SigningKey};
use zeroize::Zeroizing;

use crate::world::{World, reader};

/// A message sealed as between gateways; for mail clients with the key wrapping that they read.
pub(crate) fn seal(world: &World, profile: Profile, message: &[u8]) -> Vec<u8> {
    let limits = Limits::default();
    let facts = mail::read(message, &limits).unwrap();
    let certificate = DecryptionKey::certificate(&world.reader);
    let to = [certificate];
    let recipients = [reader()];
    let request = SealRequest {
        message: &message,
        recipients: &recipients,
        signer: &world.signer,
        to: if profile == Profile::SignedOnly { &[] } else { &to },
        profile,
        inside: Inside::Binary,
        at: world.now,
        assurance: None,
        extra: &[],
        authserv_id: "gw.ch-exemple.test",
        subject: mail::DEFAULT_SUBJECT,
        limits: &limits,
    };
    let plan = SealPlan::new(&request, &facts, RsaTransport::default()).unwrap();
    plan.into_bytes().unwrap()
}

/// The message opened, its signature verified. What is judged afterwards does not depend on its size.
pub(crate) fn open(world: &World, sealed: &Arc<Zeroizing<Vec<u8>>>) -> Opened {
    let keys: [&dyn DecryptionKey; 1] = [&world.reader];
    let known = [SigningKey::certificate(&world.signer).clone()];
    let message = Arc::clone(sealed);
    let opened = mail::open_source(message, Access::Keys(&keys), &known, &Limits::default(), &InMemory).unwrap();
    assert!(matches!(opened.signature, Signature::Good(_)), "our own signature");
    opened
}

/// Only the container, as the peer's: signed, encrypted, in DER.
pub(crate) fn seal_container(world: &World, profile: Profile, message: &[u8]) -> Vec<u8> {
    let signed = cms::sign(message, &world.signer, world.now, &[]).unwrap();
    let cipher = match profile {
        Profile::SignedOnly => return signed,
        Profile::Client => ContentCipher::Aes256Cbc,
        _ => ContentCipher::Aes256Gcm,
    };
    cms::encrypt(&signed, &[DecryptionKey::certificate(&world.reader)], cipher).unwrap()
}

/// The message in a container.
pub(crate) fn open_container(world: &World, profile: Profile, sealed: &[u8]) -> Vec<u8> {
    let known = [SigningKey::certificate(&world.signer).clone()];
    let verified = |signed: &[u8]| cms::verify(signed, None, &known).unwrap().content.into_owned();
    match profile {
        Profile::SignedOnly => verified(sealed),
        _ => verified(&cms::open(sealed, &[&world.reader]).unwrap().content),
    }
}
