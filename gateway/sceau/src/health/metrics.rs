//! The metrics page, in the text format of Prometheus (version 0.0.4).

use std::fmt::{self, Write as _};

use super::Readiness;
use crate::{gateway::Gateway, keys::watch::KeyGauges};

/// The page.
pub(super) fn page(gateway: &Gateway) -> String {
    let keys = KeyGauges::of(&gateway.snapshot(), gateway.now());
    write(&Readiness::of(gateway, &keys), &keys)
}

fn write(readiness: &Readiness, keys: &KeyGauges) -> String {
    let mut page = Page::default();
    let version = env!("CARGO_PKG_VERSION");
    page.gauge("sceau_build_info", "Version of the program.", [(vec![("version", version)], 1)]);
    page.gauge("sceau_ready", "1 when mail is taken and goes on.", [(vec![], i64::from(readiness.ready))]);
    let standing = readiness.alarms.iter().map(|code| (vec![("code", code.as_str())], 1));
    page.gauge("sceau_alarm", "1 for each alarm that stands.", standing);
    let tokens = || keys.tokens.iter().map(|token| (vec![("token", token.label.as_str())], token));
    let up = tokens().map(|(label, token)| (label, i64::from(token.fault.is_none())));
    page.gauge("sceau_token_up", "1 when the token can be used.", up);
    let open = tokens().map(|(label, token)| (label, count(token.open)));
    page.gauge("sceau_token_sessions", "Sessions at work or ready.", open);
    let limit = tokens().map(|(label, token)| (label, count(token.limit)));
    page.gauge("sceau_token_sessions_limit", "Most sessions.", limit);
    let certificates = || keys.certificates.iter().map(|one| (vec![("role", one.role.as_str())], one));
    let ends = certificates().map(|(role, one)| (role, one.not_after));
    page.gauge("sceau_certificate_not_after_seconds", "When our certificate ends, since 1970.", ends);
    let left = certificates().map(|(role, one)| (role, i64::try_from(one.days_left).unwrap_or(i64::MAX)));
    page.gauge("sceau_certificate_days_left", "Whole days until our certificate ends.", left);
    let warned = certificates().filter_map(|(role, one)| Some((role, i64::try_from(one.warning?).ok()?)));
    page.gauge("sceau_certificate_warning_days", "Warned at so many days (60, 30, 7, 0) before the end.", warned);
    page.0
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn gauge<'a>(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, i64)>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.into_iter().map(|(label, value)| format!("{label}=\"{}\"", Escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }
}

/// A label's value: backslash, quote and line end have to be escaped.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            other => f.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use pki::keys::TokenFault;

    use super::*;
    use crate::keys::watch::{CertificateGauge, TokenGauge};

    #[test]
    fn labels_are_escaped_and_each_family_is_declared_once() {
        let token = |label: &str, fault| TokenGauge { label: label.to_owned(), fault, open: 2, limit: 4 };
        let keys = KeyGauges {
            tokens: vec![token("a\"b\\c\nd", None), token("sceau", Some(TokenFault::Busy))],
            certificates: vec![CertificateGauge {
                role: "signing ch-exemple.test".into(),
                not_after: 1_790_000_000,
                days_left: 29,
                warning: Some(30),
            }],
        };
        let readiness = Readiness { ready: false, reasons: vec![], alarms: vec!["token-unavailable:sceau".into()] };
        let page = write(&readiness, &keys);
        for line in [
            "sceau_ready 0",
            "sceau_alarm{code=\"token-unavailable:sceau\"} 1",
            "sceau_token_up{token=\"a\\\"b\\\\c\\nd\"} 1",
            "sceau_token_up{token=\"sceau\"} 0",
            "sceau_token_sessions_limit{token=\"sceau\"} 4",
            "sceau_certificate_days_left{role=\"signing ch-exemple.test\"} 29",
            "sceau_certificate_warning_days{role=\"signing ch-exemple.test\"} 30",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        let mut families: Vec<&str> = page.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let declared = families.len();
        families.sort_unstable();
        families.dedup();
        assert_eq!(families.len(), declared);
    }
}
