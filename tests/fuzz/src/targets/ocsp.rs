//! OCSP answers, which come over clear HTTP or stapled (RFC 6960).

use std::sync::Arc;

use ident::Timestamp;
use pki::{
    certificate::Certificate,
    keys::SigningKey,
    ocsp::{OcspAnswer, OcspRequest, OcspStatus},
    path::{Purpose, Validator, ValidatorBuilder},
    status::{Offer, RevocationStore},
};

use crate::{
    Target, samples,
    world::{self, NOW, SIGNER},
};

/// The target.
pub const TARGET: Target = Target {
    name: "ocsp",
    covers: &["pki/src/ocsp.rs", "pki/src/ocsp/read.rs", "pki/src/ocsp/request.rs"],
    run,
    seeds: samples::ocsp::all,
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
    let _ = OcspRequest::with_nonce(certificate, &issuer, None).expect("a question").read(data);
    let times = (answer.this_update(certificate, &issuer), answer.fresh_until(certificate, &issuer));
    let _ = (times, answer.responder(), answer.status_of(certificate, &issuer));
    let produced = answer.produced_at();
    judge(answer, certificate, &issuer);
    produced != Timestamp::from_seconds(1_789_913_600)
}

/// As a peer would staple it. Nobody's word but the authority's acquits.
fn judge(answer: OcspAnswer, certificate: &Certificate, issuer: &Certificate) {
    let said = answer.status_of(certificate, issuer);
    let answer = Arc::new(answer);
    let offer = RevocationStore::new().offer_answer(Arc::clone(&answer), certificate, issuer, NOW);
    let verdict =
        VALIDATOR.with(|validator| validator.verify_stapled(certificate, &[], answer, Purpose::Organisation, NOW));
    assert!(!verdict.is_valid() || said == Some(OcspStatus::Good), "what is not said to be good is not good");
    assert!(!verdict.is_valid() || offer == Offer::Taken, "an answer that acquits is one to keep");
}

thread_local! {
    static VALIDATOR: Validator = ValidatorBuilder::new()
        .anchor(Purpose::Organisation, world::root())
        .test_category(true)
        .build()
        .expect("a validator");
}
