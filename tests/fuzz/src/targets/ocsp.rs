//! OCSP answers, which come over clear HTTP or stapled (RFC 6960).

use ident::Timestamp;
use pki::{
    certificate::Certificate,
    keys::SigningKey,
    ocsp::{OcspAnswer, OcspRequest},
};

use crate::{
    Target,
    world::{self, SIGNER},
};

/// The target.
pub const TARGET: Target = Target {
    name: "ocsp",
    covers: &["pki/src/ocsp.rs", "pki/src/ocsp/read.rs", "pki/src/ocsp/request.rs"],
    run,
    seeds,
};

fn run(data: &[u8]) -> bool {
    let (certificate, issuer): (&Certificate, _) = (SigningKey::certificate(&*SIGNER), world::root());
    let Ok(answer) = OcspAnswer::from_der(data) else {
        return false;
    };
    assert_eq!(answer.der(), data, "what is kept is what came");
    let request = OcspRequest::with_nonce(certificate, &issuer, Some(world::NONCE)).expect("a question");
    let ours = request.read(data).is_ok();
    assert!(
        !ours || answer.status_of(certificate, &issuer).is_some(),
        "an answer to our question speaks of our certificate"
    );
    let times = (answer.this_update(certificate, &issuer), answer.fresh_until(certificate, &issuer));
    let _ = (times, answer.responder(), answer.status_of(certificate, &issuer));
    answer.produced_at() != Timestamp::from_seconds(1_789_913_600)
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let kept = |name| (name, world::kept(name));
    vec![kept("ocsp-good"), kept("ocsp-revoked"), kept("ocsp-unknown"), kept("ocsp-delegated"), kept("ocsp-later")]
}
