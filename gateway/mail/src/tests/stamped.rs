//! The time stamp beside our signature, as far as mail is concerned: where it is written, and what it changes.

use pki::{
    cms::{Attribute, RsaTransport},
    der,
};

use super::*;
use crate::{
    Access, Envelope, SealPlan, Signature, Stamp, StampState, Verdict, judge, open, read, result_fields, size_bound,
};

const MESSAGE: &str = "From: <zoe@ch-exemple.test>\nTo: <b@ch-autre.test>\nSubject: x\n\nBonjour.\n";

fn sealed(world: &World, profile: Profile, stamp: Option<&Attribute>) -> Vec<u8> {
    let message = wire(MESSAGE);
    let limits = Limits::default();
    let certificates: &[&Certificate] =
        if profile == Profile::SignedOnly { &[] } else { &[world.reader.certificate()] };
    let request = SealRequest {
        message: &message,
        recipients: &[address("b@ch-autre.test")],
        signer: &world.gateway,
        to: certificates,
        profile,
        inside: crate::Inside::Binary,
        at: NOW,
        assurance: None,
        extra: &[],
        authserv_id: US,
        subject: crate::DEFAULT_SUBJECT,
        limits: &limits,
    };
    let stamping = |signature: &[u8]| {
        assert!(!signature.is_empty());
        Ok(stamp.cloned())
    };
    let facts = read(&message, &limits).unwrap();
    let plan = SealPlan::stamped(&request, &facts, RsaTransport::default(), &stamping).unwrap();
    let (size, mut bytes) = (plan.size(), Vec::new());
    plan.write(&mut bytes).unwrap();
    // What is known before writing is what is written, and within the bound that admission reckons with.
    assert_eq!(size, bytes.len() as u64);
    assert!(size <= size_bound(profile, message.len() as u64, 1, 1), "{profile:?}: {size}");
    bytes
}

/// Whatever stands beside the signature: it is told, and the verdict is that of the same message without it.
#[test]
fn a_time_stamp_is_told_and_changes_no_verdict() {
    let world = World::new();
    let token = |octets: usize| der::sequence(&[der::octet_string(&vec![7; octets])]);
    let one = |value: Vec<u8>| Attribute::single(pki::timestamp::ATTRIBUTE, value);
    let two = Attribute { oid: pki::timestamp::ATTRIBUTE.into(), values: vec![token(3), token(4)] };
    let largest = token(pki::timestamp::MAX_TOKEN - 16);
    for (stamp, fault) in [
        (None, None),
        (Some(one(token(10))), Some("timestamp_signature")),
        (Some(one(largest)), Some("timestamp_signature")),
        (Some(two), Some("timestamp_repeated")),
    ] {
        for profile in [Profile::Gateway, Profile::Client, Profile::SignedOnly] {
            let bytes = sealed(&world, profile, stamp.as_ref());
            let opened = open(&bytes, Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
            let Signature::Good(signed) = &opened.signature else { panic!("{:?}", opened.signature) };
            assert_eq!(signed.stamp.is_some(), stamp.is_some());
            assert!(!matches!(&signed.stamp, Some(Stamp::Read(_))));
            let envelope = Envelope { sender: None, recipients: &[address("b@ch-autre.test")] };
            let judgement = judge(&opened, &envelope, &world.trust());
            assert_eq!(judgement.verdict, Verdict::Accept, "{judgement:?}");
            let stamped = judgement.timestamp.clone();
            assert_eq!(stamped.as_ref().and_then(|it| it.fault), fault);
            assert!(stamped.is_none_or(|it| it.state == StampState::Invalid && it.at.is_none()));
            assert_eq!(judgement.reasons.iter().any(|it| it.code == "timestamp_invalid"), fault.is_some());
            assert_eq!(result_fields(&judgement, US).contains("X-Sceau-Timestamp: invalid"), fault.is_some());
        }
    }
}
