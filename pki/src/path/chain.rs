//! One candidate chain, verified by OpenSSL with our settings.

use openssl::{
    error::ErrorStack,
    stack::Stack,
    x509::{
        X509StoreContext,
        store::X509StoreBuilder,
        verify::{X509VerifyFlags, X509VerifyParam},
    },
};

use super::PolicySettings;
use crate::{certificate::Certificate, ffi, finding::Reason};

/// anyPolicy: what "no restriction" means to the policy algorithm (an empty set is not that).
const ANY_POLICY: &str = "2.5.29.32.0";
/// Longest chain, leaf and anchor included.
pub(super) const MAX_CHAIN: usize = 10;

/// The resulting policies, or the reason and the position of the certificate concerned.
pub(super) type Outcome = Result<Vec<String>, (Reason, usize)>;

/// Verifies `chain` (leaf first, anchor last): signatures, basic constraints, key usage of
/// authorities, path lengths, name constraints, policies.
pub(super) fn verify(chain: &[Certificate], policies: &PolicySettings, explicit: bool) -> Outcome {
    run(chain, policies, explicit).unwrap_or(Err((Reason::Internal, 0)))
}

fn run(chain: &[Certificate], policies: &PolicySettings, explicit: bool) -> Result<Outcome, ErrorStack> {
    let (Some(leaf), Some(anchor)) = (chain.first(), chain.last()) else {
        return Ok(Err((Reason::Internal, 0)));
    };
    let Some(param) = parameters(policies, explicit)? else {
        return Ok(Err((Reason::Internal, 0)));
    };
    let mut store = X509StoreBuilder::new()?;
    store.add_cert(anchor.openssl().clone())?;
    store.set_param(&param)?;
    let store = store.build();
    let mut untrusted = Stack::new()?;
    for certificate in chain.iter().skip(1).take(chain.len().saturating_sub(2)) {
        untrusted.push(certificate.openssl().clone())?;
    }
    X509StoreContext::new()?.init(&store, leaf.openssl(), &untrusted, |context| {
        if context.verify_cert()? {
            Ok(Ok(ffi::resulting_policies(context)))
        } else {
            let depth = usize::try_from(context.error_depth()).unwrap_or(0);
            Ok(Err((reason(context.error().as_raw()), depth)))
        }
    })
}

fn parameters(policies: &PolicySettings, explicit: bool) -> Result<Option<X509VerifyParam>, ErrorStack> {
    // Dates are checked by `checks::dates` at every verification; so what OpenSSL says here does not
    // depend on the time and can be remembered.
    let mut flags = X509VerifyFlags::POLICY_CHECK | X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::NO_CHECK_TIME;
    for (on, flag) in [
        (explicit, X509VerifyFlags::EXPLICIT_POLICY),
        (policies.inhibit_mapping, X509VerifyFlags::INHIBIT_MAP),
        (policies.inhibit_any, X509VerifyFlags::INHIBIT_ANY),
    ] {
        if on {
            flags |= flag;
        }
    }
    let mut param = X509VerifyParam::new()?;
    param.set_flags(flags)?;
    param.set_depth(i32::try_from(MAX_CHAIN).unwrap_or(i32::MAX));
    // Keys and digests are our floor's business, also where OpenSSL is configured otherwise.
    param.set_auth_level(0);
    let accepted = policies.accepted.iter().map(String::as_str);
    for policy in accepted.chain(policies.accepted.is_empty().then_some(ANY_POLICY)) {
        if ffi::accept_policy(&mut param, policy).is_none() {
            return Ok(None);
        }
    }
    Ok(Some(param))
}

/// Our reason for an error code of OpenSSL (x509_vfy.h).
fn reason(code: i32) -> Reason {
    match code {
        2 | 18 | 19 | 20 | 21 | 27 | 28 | 29 | 30 | 31 => Reason::UnknownIssuer,
        4 | 6 | 7 => Reason::BadSignature,
        9 => Reason::NotYetValid,
        10 => Reason::Expired,
        13 | 14 => Reason::BadValidity,
        22 | 25 => Reason::PathTooLong,
        // 24 and 79 are both "invalid CA", by version.
        24 | 32 | 37 | 79 => Reason::NotAnAuthority,
        34 => Reason::UnknownCriticalExtension,
        41 => Reason::MalformedExtension,
        42 | 43 => Reason::Policy,
        47 | 48 | 49 | 51 | 52 | 53 => Reason::NameConstraints,
        17 | 69 | 70 => Reason::Internal,
        _ => Reason::PathInvalid,
    }
}
