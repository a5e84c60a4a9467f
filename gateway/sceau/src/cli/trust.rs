//! The arguments of every command that judges certificates against given anchors.

use std::path::PathBuf;

use ident::{Clock, SystemClock, Timestamp};
use pki::path::{PolicySettings, Purpose, RevocationMode, Validator, ValidatorBuilder};
use std::time::Duration;

use super::material::{self, moment};
use crate::config::Problem;

/// What is said when no revocation data was given.
pub(super) const NOT_JUDGED: &str =
    "révocation non vérifiée (ni --crls ni --ocsp) / revocation not judged (neither --crls nor --ocsp)";

#[derive(Debug, clap::Args)]
pub(super) struct TrustArgs {
    /// Trust anchors: files (PEM or DER) or folders of them; nothing else is trusted
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(super) anchors: Vec<PathBuf>,
    /// Certificates that may stand between the certificate and an anchor
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(super) intermediates: Vec<PathBuf>,
    /// Revocation lists (PEM or DER); with none, revocation is not judged
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(super) crls: Vec<PathBuf>,
    /// OCSP answers (DER), from `openssl ocsp -respout` and its like
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(super) ocsp: Vec<PathBuf>,
    /// Moment of the judgement (RFC 3339 or seconds since 1970), now if absent
    #[arg(long, value_parser = moment, allow_hyphen_values = true)]
    pub(super) at: Option<Timestamp>,
}

/// Inputs of RFC 5280 §6.1.1 about policies.
#[derive(Debug, Default, clap::Args)]
pub(super) struct PolicyArgs {
    /// Accepted certificate policies (dotted); with none, any policy
    #[arg(long, num_args = 1.., value_name = "OID")]
    pub(super) policy: Vec<String>,
    /// A path without an accepted policy is invalid
    #[arg(long)]
    require_explicit_policy: bool,
    /// Policy mappings are not followed
    #[arg(long)]
    inhibit_policy_mapping: bool,
    /// anyPolicy in certificates counts for nothing
    #[arg(long)]
    inhibit_any_policy: bool,
}

impl PolicyArgs {
    fn settings(&self) -> PolicySettings {
        PolicySettings {
            accepted: self.policy.clone(),
            require_explicit: self.require_explicit_policy,
            inhibit_mapping: self.inhibit_policy_mapping,
            inhibit_any: self.inhibit_any_policy,
        }
    }
}

/// A validator made of arguments.
pub(super) struct Judge {
    /// Answers about paths.
    pub(super) validator: Validator,
    /// Moment of the judgement.
    pub(super) at: Timestamp,
    /// Whether there is anything to judge revocation by.
    pub(super) revocation_judged: bool,
    /// What was passed over.
    pub(super) warnings: Vec<String>,
}

impl TrustArgs {
    /// A validator of authorities of time stamps, if any anchors for them are given.
    pub(super) fn stamps(&self, anchors: &[PathBuf]) -> Result<Option<Validator>, Problem> {
        if anchors.is_empty() {
            return Ok(None);
        }
        let of_stamps = Self {
            anchors: anchors.to_vec(),
            intermediates: self.intermediates.clone(),
            crls: self.crls.clone(),
            ocsp: self.ocsp.clone(),
            at: self.at,
        };
        of_stamps.judge(&PolicyArgs::default(), &[Purpose::Any]).map(|judge| Some(judge.validator))
    }

    /// Reads everything; the anchors count for each of `purposes`.
    ///
    /// Test certificates are accepted only where the caller gave a test root as an anchor: test and
    /// production never mix (design §4).
    pub(super) fn judge(&self, policies: &PolicyArgs, purposes: &[Purpose]) -> Result<Judge, Problem> {
        let anchors = material::all_certificates(&self.anchors)?;
        let test = anchors.iter().any(pki::certificate::Certificate::is_test_category);
        let judged = !self.crls.is_empty() || !self.ocsp.is_empty();
        let mode = match judged {
            false => RevocationMode::NotJudged,
            true => RevocationMode::Required { grace: Duration::ZERO },
        };
        let mut builder = ValidatorBuilder::new()
            .undivided_anchors(true)
            .test_category(test)
            .policies(policies.settings())
            .revocation(mode);
        for anchor in anchors {
            for purpose in purposes {
                builder = builder.anchor(*purpose, anchor.clone());
            }
        }
        let (intermediates, unreadable) = material::readable_certificates(&self.intermediates)?;
        for certificate in intermediates {
            builder = builder.intermediate(certificate);
        }
        let (lists, mut unusable) = material::revocation_lists(&self.crls)?;
        for list in lists {
            builder = builder.revocation_list(list);
        }
        let (answers, no_answers) = material::ocsp_answers(&self.ocsp)?;
        for answer in answers {
            builder = builder.ocsp_answer(answer);
        }
        unusable.extend(no_answers);
        let validator = builder.build().map_err(|error| Problem::of("arguments", error.to_string()))?;
        let warnings: Vec<String> = unreadable.iter().chain(&unusable).map(ToString::to_string).collect();
        warnings.iter().for_each(|warning| eprintln!("sceau: {warning}"));
        Ok(Judge { validator, at: self.at.unwrap_or_else(|| SystemClock.now()), revocation_judged: judged, warnings })
    }
}
