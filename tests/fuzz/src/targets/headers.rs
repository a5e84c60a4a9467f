//! The comparison of the outer header with the one that was signed (RFC 9788, H8, A14, A16).
//!
//! An input is an outer header, an octet of zero, and the entity that is signed under it, with its own
//! header; an octet of one before it asks for the signature beside it.

use std::collections::BTreeSet;

use ident::Address;
use mail::{Access, Facts, HeaderBlock, SignatureState, Verdict, media::MediaType};

use crate::{
    Target,
    layers::{CONTENT_KEY, Layers},
    samples,
    targets::{
        judge::{self, Space},
        message::LIMITS,
    },
};

/// The target.
pub const TARGET: Target = Target {
    name: "headers",
    covers: &["gateway/mail/src/header.rs", "gateway/mail/src/open/hand_over.rs"],
    run,
    seeds: samples::headers::all,
};

fn run(data: &[u8]) -> bool {
    let Some(at) = data.iter().position(|octet| *octet == 0) else { return false };
    let (outer, inner) = data.split_at_checked(at).unwrap_or((data, &[]));
    let inner = inner.get(1..).unwrap_or_default();
    // Opaque, or with the signature beside it: the two ways in which mail programs sign.
    let (way, inner) = inner.strip_prefix(&[1]).map_or((b's', inner), |inner| (b'c', inner));
    let mut layers = Layers::around(inner);
    if layers.put(way).is_none() {
        return false;
    }
    let message = [outer, &layers.entity].concat();
    let Some((opened, judgement)) = judge::judged(&message, Access::ContentKey(&CONTENT_KEY), &Space::default()) else {
        return false;
    };
    // Without a valid signature the outer header ended before the container: another message, and not the question here.
    if (judgement.verdict, judgement.signature) != (Verdict::Accept, SignatureState::Valid) {
        return false;
    }
    let visible = mail::read(&message, &judge_limits()).expect("what was accepted has an outer header");
    let protected = protects(inner);
    if protected {
        same(&visible, &opened.facts);
        assert!(
            same_fields(way, inner, &opened.inner.bytes(1 << 20).expect("in memory")),
            "the protected header, unchanged"
        );
    } else if wraps(inner) {
        same(&visible, &opened.facts);
    } else {
        let handed = &opened.facts;
        assert_eq!(
            (&handed.from, &handed.to, &handed.cc),
            (&visible.from, &visible.to, &visible.cc),
            "the outer header"
        );
    }
    // A protected header that agrees with the outer one, with a subject that no seed has.
    protected && inner.contains(&b'~')
}

fn judge_limits() -> mail::Limits {
    mail::Limits { message: 1 << 20, ..LIMITS }
}

/// Whether a whole message was signed (RFC 8551 §3.1): its own header is what its reader sees.
fn wraps(entity: &[u8]) -> bool {
    let Ok(block) = HeaderBlock::parse(entity, &LIMITS) else { return false };
    MediaType::of(&block).is_ok_and(|media| matches!(media.essence.as_str(), "message/rfc822" | "message/global"))
}

/// Whether the entity says that its own header is the message's: in one of the two words that there are (RFC 9788 §2.1.1).
fn protects(entity: &[u8]) -> bool {
    let Ok(block) = HeaderBlock::parse(entity, &LIMITS) else { return false };
    let says = |media: MediaType| media.parameter("hp").map(str::to_ascii_lowercase);
    MediaType::of(&block).ok().and_then(says).is_some_and(|hp| matches!(hp.as_str(), "clear" | "cipher"))
}

/// Who wrote, to whom, and which message it is: said inside and outside alike, or not outside.
fn same(outer: &Facts, inner: &Facts) {
    let keys = |all: &[Address]| all.iter().map(Address::key).collect::<BTreeSet<_>>();
    assert!(outer.from.same_mailbox(&inner.from), "an outer From of its own (A13)");
    assert!(outer.message_id.is_none() || inner.message_id.is_none() || outer.message_id == inner.message_id);
    let named: BTreeSet<_> = keys(&outer.to).union(&keys(&outer.cc)).cloned().collect();
    let meant: BTreeSet<_> = keys(&inner.to).union(&keys(&inner.cc)).cloned().collect();
    assert!(named.is_subset(&meant), "an outer recipient of its own");
}

/// Whether the fields that readers see are those that were signed, in their order.
fn same_fields(way: u8, signed: &[u8], handed: &[u8]) -> bool {
    let fields = |message: &[u8]| -> Option<Vec<(String, Vec<u8>)>> {
        let block = HeaderBlock::parse(message, &judge_limits()).ok()?;
        // Of the frame of a clear signature these are ours; what describes the signed part stays on it.
        let frame = ["HP-Outer", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"];
        let of_part = |name: &str| way == b'c' && name.to_ascii_lowercase().starts_with("content-");
        let ours = |field: &mail::Field<'_>| frame.iter().any(|name| field.is(name)) || of_part(field.name());
        let shown = block.fields().iter().filter(|field| !ours(field));
        Some(shown.map(|field| (field.name().to_owned(), field.raw().to_vec())).collect())
    };
    fields(signed) == fields(handed)
}
