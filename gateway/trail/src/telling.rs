//! The sentence for each event.

use ident::Bilingual;

use crate::{
    DeliveryFacts, Event, Mood, NotificationKind, Refusal, SafeText, Speaker, Tls, Verdict, VerdictOutcome,
    timeline::aside,
};

/// Mood and sentence of an event.
pub(crate) fn tell(event: &Event) -> (Mood, Bilingual) {
    let meaning = event.entry();
    let say = |detail: &str| Bilingual::new(with(meaning.fr, detail), with(meaning.en, detail));
    match event {
        Event::ServiceStarted { version, .. } => (Mood::Neutral, say(version)),
        Event::ServiceStopped { reason }
        | Event::ConfigurationRefused { reason }
        | Event::TrustListRefused { reason }
        | Event::DirectoryRefused { reason } => (Mood::Warning, say(reason.as_str())),
        Event::ConfigurationLoaded { digest } | Event::TrustListLoaded { digest, .. } => {
            (Mood::Neutral, say(&digest.to_string()))
        }
        Event::DirectoryLoaded { generation, .. } => (Mood::Neutral, say(generation)),
        Event::RegistryLoaded { domain, digest, mailboxes, change } => {
            let change = change.map(|it| format!(", {} + {} ~ {} -", it.created, it.changed, it.closed));
            (Mood::Neutral, say(&format!("{domain}, {digest}, {mailboxes}{}", change.unwrap_or_default())))
        }
        Event::RevocationLoaded { issuer, .. } => (Mood::Neutral, say(issuer.as_str())),
        Event::RevocationGrace { issuer, until } => (Mood::Warning, say(&format!("{issuer}, {until}"))),
        Event::AlarmRaised { code, text } => (Mood::Warning, say(&format!("{code}, {text}"))),
        Event::AlarmCleared { code } => (Mood::Good, say(code)),
        Event::CertificateExpiring { role, certificate, ends, .. } => {
            (Mood::Warning, say(&format!("{role}, {ends}, {certificate}")))
        }
        Event::OperatorAction { operator, action, target, reason } => {
            (Mood::Neutral, say(&format!("{operator}, {action} {target}{}", aside(reason.as_ref()))))
        }
        Event::PartnerFileLoaded { operator, serial, location, .. } => {
            (Mood::Good, say(&format!("{operator}, {serial}, {location}")))
        }
        Event::PartnerFileRefused { location, reason } => (Mood::Warning, say(&format!("{location}, {reason}"))),
        Event::PartnerSource { operator, location, by } => {
            let location = location.as_ref().map_or("-", SafeText::as_str);
            (Mood::Neutral, say(&format!("{operator}, {location}, {by}")))
        }
        Event::PartnerCertificate { owner, usage, certificate, approved, how, by, reason, .. } => {
            let mood = if *approved { Mood::Good } else { Mood::Warning };
            let sign = if *approved { "+" } else { "-" };
            (mood, say(&format!("{sign} {owner} {usage} {certificate}, {how}, {by}{}", aside(reason.as_ref()))))
        }
        Event::ConnectionRefused { peer, listener, refusal, count, .. } => {
            (Mood::Bad, say(&format!("{peer}, {listener}, {count} ×, {}", refused(refusal))))
        }
        Event::Authenticated { connection, speaker } => {
            (Mood::Good, say(&format!("{}, {}{}", speaking(speaker), connection.peer, tls(connection.tls.as_ref()))))
        }
        Event::AuthenticationRefused { connection, refusal, .. } => {
            (Mood::Bad, say(&format!("{}, {}", connection.peer, refused(refusal))))
        }
        Event::SenderRefused { refusal, .. }
        | Event::RecipientRefused { refusal, .. }
        | Event::ContentRefused { refusal, .. } => {
            (if refusal.temporary { Mood::Warning } else { Mood::Bad }, say(&refused(refusal)))
        }
        Event::RecipientAdmitted { protection, reasons, .. } => {
            (Mood::Good, say(&std::iter::once(protection).chain(reasons).cloned().collect::<Vec<_>>().join(", ")))
        }
        Event::Accepted(facts) => {
            let sender = facts.from.as_ref().map_or_else(|| "<>".to_owned(), ToString::to_string);
            let by = facts.speaker.as_ref().map(|speaker| format!(", {}", speaking(speaker))).unwrap_or_default();
            let (fr, en) = (octets(facts.size, "octets"), octets(facts.size, "octets"));
            let digest = facts.digest;
            (
                Mood::Good,
                Bilingual::new(
                    format!(
                        "message pris en charge, de {sender}{by}, {fr}, {} destinataire(s), empreinte {digest}",
                        facts.recipients
                    ),
                    format!(
                        "message accepted, from {sender}{by}, {en}, {} recipient(s), digest {digest}",
                        facts.recipients
                    ),
                ),
            )
        }
        Event::Repeated { .. } => (Mood::Neutral, say("")),
        Event::Judged(verdict) => judged(verdict),
        Event::Sealed { protection, profile, digest, size, stamp, .. } => {
            let profile = profile.as_deref().map(|profile| format!(", {profile}")).unwrap_or_default();
            let stamp = stamp.as_ref().map(|stamp| format!(", time stamp: {stamp}")).unwrap_or_default();
            (Mood::Good, say(&format!("{protection}{profile}, {}, {digest}{stamp}", octets(*size, "octets"))))
        }
        Event::Queued { destination, expires, .. } => (
            Mood::Neutral,
            Bilingual::new(
                format!("en file d'attente vers {destination}, jusqu'au {expires}"),
                format!("queued for {destination}, until {expires}"),
            ),
        ),
        Event::Attempted { number, delivery } => (Mood::Neutral, attempt(*number, delivery, meaning.fr, meaning.en)),
        Event::Delivered { number, delivery } => (Mood::Good, attempt(*number, delivery, meaning.fr, meaning.en)),
        Event::Failed { number, reason, delivery } => {
            (Mood::Bad, attempt(*number, delivery, &with(meaning.fr, reason), &with(meaning.en, reason)))
        }
        Event::Deferred { number, reason, delivery, next } => (
            Mood::Warning,
            attempt(
                *number,
                delivery,
                &format!("{}, prochaine tentative le {next}", with(meaning.fr, reason)),
                &format!("{}, next try at {next}", with(meaning.en, reason)),
            ),
        ),
        Event::Expired { attempts, reason } => (
            Mood::Bad,
            Bilingual::new(
                with(
                    &format!("délai de remise dépassé après {attempts} tentative(s)"),
                    reason.as_deref().unwrap_or_default(),
                ),
                with(
                    &format!("time for delivery is over after {attempts} attempt(s)"),
                    reason.as_deref().unwrap_or_default(),
                ),
            ),
        ),
        Event::Cancelled { by, reason } => (Mood::Bad, by_whom(meaning.fr, meaning.en, by, reason)),
        Event::Held { by, reason } => (Mood::Warning, by_whom(meaning.fr, meaning.en, by, reason)),
        Event::Released { by, reason } | Event::Retried { by, reason } => {
            (Mood::Neutral, by_whom(meaning.fr, meaning.en, by, reason))
        }
        Event::Rerouted { by, from, to, reason } => (Mood::Neutral, say(&format!("{from} → {to}, {by} ({reason})"))),
        Event::NotificationSent { kind, suppressed, notification } => {
            notified(*kind, suppressed.as_deref(), notification.map(|id| id.to_string()))
        }
        Event::NotificationReceived { kind, from_operator, status, text, matched } => {
            let (fr, en) = kind_words(*kind);
            let status = status.as_deref().unwrap_or("-");
            let (fr_match, en_match) = if *matched { ("", "") } else { (", sans effet", ", no effect") };
            (
                Mood::Neutral,
                Bilingual::new(
                    format!("avis reçu de {from_operator} : {fr}, {status}, {text}{fr_match}"),
                    format!("notification received from {from_operator}: {en}, {status}, {text}{en_match}"),
                ),
            )
        }
        Event::TrailRead { reader, query, reason, results } => {
            (Mood::Neutral, say(&format!("{reader}, {query}, {results}{}", aside(reason.as_ref()))))
        }
        Event::TrailPurged { class, before, records, .. } => {
            (Mood::Neutral, say(&format!("{class:?}, {before}, {records}")))
        }
        Event::CheckpointSeen { domain, .. } => (Mood::Neutral, say(domain.as_str())),
        Event::CheckpointAnchored { size, by, .. } => (Mood::Good, say(&format!("{size}, {by}"))),
    }
}

fn with(text: &str, detail: &str) -> String {
    if detail.is_empty() { text.to_owned() } else { format!("{text}: {detail}") }
}

fn octets(size: u64, word: &str) -> String {
    format!("{size} {word}")
}

fn refused(refusal: &Refusal) -> String {
    format!("{}, \"{}\"{}", refusal.reason, refusal.reply, aside(refusal.detail.as_ref()))
}

fn speaking(speaker: &Speaker) -> String {
    let assurance = speaker.assurance.as_deref().map(|word| format!(", {word}")).unwrap_or_default();
    format!("{} ({}{assurance})", speaker.name, speaker.id)
}

fn tls(tls: Option<&Tls>) -> String {
    tls.map(|tls| format!(", {} {}", tls.version, tls.cipher)).unwrap_or_default()
}

fn attempt(number: u32, facts: &DeliveryFacts, fr: &str, en: &str) -> Bilingual {
    let host = facts.host.as_deref().unwrap_or(&facts.destination);
    let address = facts.address.as_deref().map(|address| format!(" [{address}]")).unwrap_or_default();
    let tls = tls(facts.tls.as_ref());
    let reply = facts.reply.as_ref().map(|reply| format!(", \"{reply}\"")).unwrap_or_default();
    Bilingual::new(
        format!("{fr}, tentative {number}, {host}{address}{tls}{reply}"),
        format!("{en}, attempt {number}, {host}{address}{tls}{reply}"),
    )
}

fn by_whom(fr: &str, en: &str, by: &SafeText, reason: &SafeText) -> Bilingual {
    Bilingual::new(format!("{fr} par {by} : {reason}"), format!("{en} by {by}: {reason}"))
}

fn judged(verdict: &Verdict) -> (Mood, Bilingual) {
    let (mood, fr, en) = match verdict.verdict {
        VerdictOutcome::Accept => (Mood::Good, "accepté", "accepted"),
        VerdictOutcome::Refuse => (Mood::Bad, "refusé", "refused"),
        VerdictOutcome::Undetermined => (Mood::Warning, "indéterminé", "undetermined"),
    };
    let signer = verdict.signer.as_ref().map_or_else(|| "-".to_owned(), speaking);
    let reasons = verdict.reasons.join(", ");
    let (signature, cipher, bound) = (&verdict.signature, &verdict.encryption, &verdict.bound_by);
    (
        mood,
        Bilingual::new(
            with(
                &format!("message jugé : {fr}, signature {signature} de {signer}, lien {bound}, chiffrement {cipher}"),
                &reasons,
            ),
            with(
                &format!(
                    "message judged: {en}, signature {signature} by {signer}, bound by {bound}, encryption {cipher}"
                ),
                &reasons,
            ),
        ),
    )
}

fn kind_words(kind: NotificationKind) -> (&'static str, &'static str) {
    match kind {
        NotificationKind::Failed => ("non remis", "not delivered"),
        NotificationKind::Delayed => ("retardé", "delayed"),
        NotificationKind::Delivered => ("remis", "delivered"),
        NotificationKind::Relayed => ("relayé", "relayed"),
        NotificationKind::Read => ("lu", "read"),
    }
}

fn notified(kind: NotificationKind, suppressed: Option<&str>, id: Option<String>) -> (Mood, Bilingual) {
    let (fr, en) = kind_words(kind);
    let id = id.map(|id| format!(" ({id})")).unwrap_or_default();
    match suppressed {
        Some(why) => (
            Mood::Neutral,
            Bilingual::new(
                format!("pas d'avis à l'expéditeur ({fr}) : {why}"),
                format!("sender not notified ({en}): {why}"),
            ),
        ),
        None => (
            Mood::Warning,
            Bilingual::new(format!("avis à l'expéditeur : {fr}{id}"), format!("sender notified: {en}{id}")),
        ),
    }
}
