//! What a configuration may say and must not: mistakes that would weaken the gateway without a word.

use std::{collections::BTreeSet, path::Path, time::Duration};

use super::{Config, Problem, Span};

/// Longest time that a revocation list past its date may still vouch for what it does not list.
const MAX_GRACE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Everything that is contradictory or unsafe in `config`; `folder` is named in the problems.
pub(crate) fn faults(config: &Config, folder: &Path) -> Vec<Problem> {
    let mut found = Vec::new();
    twice(&mut found, "[[domain]]", config.domains.iter().map(|own| own.name.to_string()));
    twice(&mut found, "[[partner]]", config.partners.iter().map(|partner| partner.domain.to_string()));
    twice(&mut found, "[[route]]", config.routes.iter().map(|route| route.domain.to_string()));
    spans(&mut found, config);
    super::keys::faults(&mut found, config);
    super::trust::faults(&mut found, &config.trust);
    found.extend(config.trail.faults(config.operator.environment));
    config.refresh.faults(&mut found);
    config.annuaire.faults(config.operator.environment, &mut found);
    config.health.faults(&mut found);
    config.seal.faults(&mut found);
    config.ldap.faults(config.annuaire.data.is_some(), &mut found);
    config.http.faults(config.domains.iter().map(|own| &own.name), &mut found);
    super::partners::faults(&mut found, &config.partners);
    for own in &config.domains {
        let inner = &own.inner;
        if !inner.address.ip().is_loopback() && inner.certificate.is_none() && !inner.clear {
            found.push(format!(
                "domain {}: opened mail would cross the network to {} readable by anybody on it; name the inner server's \
                 `certificate` (TLS is then required), or write `clear = true` if that network is yours alone",
                own.name, inner.address
            ));
        }
    }
    found.into_iter().map(|what| Problem::of(folder, what)).collect()
}

/// The second of two rules would silently win.
fn twice(found: &mut Vec<String>, table: &str, names: impl Iterator<Item = String>) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name.clone()) {
            found.push(format!("{name} has two {table} entries: which one is meant?"));
        }
    }
}

fn spans(found: &mut Vec<String>, config: &Config) {
    let (limits, delivery) = (&config.limits, &config.delivery);
    let none = Span(Duration::ZERO);
    let positive = [
        ("trust.reload", config.trust.reload),
        ("limits.idle", limits.idle),
        ("limits.session", limits.session),
        ("limits.stranger", limits.stranger),
        ("delivery.first_retry", delivery.first_retry),
        ("delivery.last_retry", delivery.last_retry),
        ("delivery.lifetime", delivery.lifetime),
        ("partner_files.refresh", config.partner_files.refresh),
        ("publish.lifetime", config.publish.lifetime),
    ];
    for (key, _) in positive.into_iter().filter(|(_, span)| *span == none) {
        found.push(format!("{key} must be longer than nothing"));
    }
    if config.trust.grace.0 > MAX_GRACE {
        found.push(format!(
            "trust.grace is {} h: a revoked certificate would be believed that long; at most {} h",
            config.trust.grace.hours(),
            Span(MAX_GRACE).hours()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const SOUND: &str = r#"
operator = { name = "CH Exemple (test)", help = "aide@ch-exemple.test" }
server = { hostname = "mss.ch-exemple.test", data = "data", certificate = "tls.pem", key = "tls.key", storage_key = "s.key" }

[trust]
list = "list.xml"
profile = { signer_cn = "TEST LISTE", signer_ou = "318751275100020" }
anchor = []

[[domain]]
name = "ch-exemple.test"
registry = "registry.toml"
signing = { certificate = "a.pem", key = "a.key" }
decryption = [{ certificate = "b.pem", key = "b.key" }]
inner = { address = "127.0.0.1:24" }
"#;

    fn faults_of(text: &str) -> Vec<String> {
        let config = parse(Path::new("sceau.toml"), text).unwrap();
        faults(&config, Path::new("folder")).into_iter().map(|problem| problem.to_string()).collect()
    }

    fn with(more: &str) -> Vec<String> {
        faults_of(&format!("{SOUND}\n{more}\n"))
    }

    #[track_caller]
    fn one(found: &[String], part: &str) {
        assert!(found.len() == 1 && found[0].contains(part), "{found:?}");
    }

    #[test]
    fn a_sound_configuration_has_no_faults() {
        assert_eq!(faults_of(SOUND), Vec::<String>::new());
    }

    #[test]
    fn two_rules_for_one_domain_are_refused() {
        let rule = |smime: &str| format!("[[partner]]\ndomain = \"CH-autre.test\"\nsmime = \"{smime}\"\n");
        assert!(with(&rule("required")).is_empty());
        one(&with(&format!("{}{}", rule("required"), rule("never"))), "ch-autre.test has two [[partner]]");
    }

    #[test]
    fn how_a_key_signs_is_said_where_it_signs() {
        let rule = ", rsa_signature = \"pss\"";
        let at = |key: &str| faults_of(&SOUND.replace(key, &format!("{key}{rule}")));
        assert!(at("key = \"a.key\"").is_empty());
        one(&at("key = \"b.key\""), "`rsa_signature` belongs to a key that signs");
    }

    /// Promise 2: what was opened does not cross a network in clear because nobody thought of it.
    #[test]
    fn opened_mail_does_not_cross_a_network_in_clear_unasked() {
        let inner = |text: &str| faults_of(&SOUND.replace("address = \"127.0.0.1:24\"", text));
        one(&inner("address = \"192.0.2.7:24\""), "readable by anybody");
        assert!(inner("address = \"192.0.2.7:24\", certificate = \"inner.pem\"").is_empty());
        assert!(inner("address = \"192.0.2.7:24\", clear = true").is_empty());
        assert!(inner("address = \"[::1]:24\"").is_empty());
    }

    #[test]
    fn partner_rules_that_contradict_themselves_are_refused() {
        let rule = |smime: &str, more: &str| {
            with(&format!("[[partner]]\ndomain = \"ch-autre.test\"\nsmime = \"{smime}\"\n{more}"))
        };
        assert!(rule("required", "ciphers = [\"aes-256-gcm\"]\nkey_transports = [\"rsa-oaep\", \"ecdh\"]").is_empty());
        one(&rule("required", "ciphers = [\"aes-256-cbc\"]"), "writes AES-256-GCM");
        assert!(rule("required", "profile = \"client\"\nciphers = [\"aes-256-cbc\"]").is_empty());
        one(&rule("required", "key_transports = [\"rsa-pkcs1\"]"), "rsa-pkcs1 alone");
        assert!(rule("required", "profile = \"client\"\nkey_transports = [\"rsa-pkcs1\"]").is_empty());
        one(&rule("required", "policies = [\"IGC-Sante\"]"), "no object identifier");
        assert!(rule("required", "policies = [\"1.2.250.1.213.1.7.2.1.1.1.1\"]").is_empty());
        one(&rule("never", "policies = [\"1.2.3\"]"), "contradict each other");
        one(&with("[partner_files]\nrefresh = \"0s\""), "partner_files.refresh");
    }

    #[test]
    fn spans_that_make_no_sense_are_refused() {
        one(&with("[limits]\nidle = \"0s\""), "limits.idle");
        let trust = |line: &str| faults_of(&SOUND.replace("[trust]", &format!("[trust]\n{line}")));
        one(&trust("reload = \"0s\""), "trust.reload");
        one(&trust("grace = \"365d\""), "trust.grace");
        assert!(trust("grace = \"0s\"").is_empty());
    }
}
