//! What the SMTP protocol itself refuses, in both languages and with the operator's help address.
//!
//! Codes and English sentences are those of the `smtp` crate; here are the French ones, the
//! stable ids, and the tests that show them.

use smtp::{BodyFault, Complaint, ProtocolError, Reply, Voice};

use super::ascii;

/// One complaint in our words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// Stable id.
    pub id: &'static str,
    /// French sentence, ASCII.
    pub fr: &'static str,
    /// The test that shows it.
    pub test: &'static str,
}

/// Every complaint.
pub fn complaints() -> Vec<Complaint> {
    let bodies = [BodyFault::BareCr, BodyFault::BareLf, BodyFault::Nul, BodyFault::LineTooLong, BodyFault::TooLarge];
    ProtocolError::ALL.into_iter().map(Complaint::Command).chain(bodies.map(Complaint::Body)).collect()
}

/// The voice of a server that an operator's users talk to.
pub fn voice(help: &str) -> Voice {
    let help = ascii(help, 120);
    Voice::new(move |complaint| reply(complaint, &help))
}

fn reply(complaint: Complaint, help: &str) -> Reply {
    let plain = complaint.reply();
    let words = words(complaint);
    let english = plain.lines().join(" ");
    let enhanced = plain.enhanced().map_or((5, 5, 0), |code| (code.class, code.subject, code.detail));
    Reply::new(plain.code(), enhanced, words.fr).and(&english).and(&format!("[{}] - Aide/help: {help}", words.id))
}

/// The nearest code of the national table (it has no 538 and no 555).
pub const fn national(code: u16) -> u16 {
    match code {
        538 => 530,
        555 => 504,
        other => other,
    }
}

/// Our words for a complaint.
pub const fn words(complaint: Complaint) -> Words {
    let (id, fr, test) = match complaint {
        Complaint::Command(error) => command(error),
        Complaint::Body(fault) => body(fault),
    };
    Words { id, fr, test }
}

const fn command(error: ProtocolError) -> (&'static str, &'static str, &'static str) {
    use ProtocolError as E;
    match error {
        E::UnknownCommand => ("unknown-command", "Commande inconnue.", "nt_x08_sequences"),
        E::NotOffered => ("not-offered", "Commande non proposee ici.", "tl3_state_is_forgotten_after_tls"),
        E::Characters => ("characters", "Caracteres interdits dans la commande.", "in1_line_ends_inside_commands"),
        E::BareLineFeed => ("bare-line-feed", "Les lignes doivent finir par CR LF.", "in1_line_ends_inside_commands"),
        E::LineTooLong => ("line-too-long", "Commande trop longue.", "rx4_line_without_end"),
        E::AuthTooLong => ("auth-too-long", "Echange d'authentification trop long.", "auth_external_in_its_forms"),
        E::Arguments => ("arguments", "Arguments incorrects.", "nt_x08_sequences"),
        E::HelloName => ("hello-name", "Indiquez un nom de machine apres EHLO.", "in4_hostile_hello_names"),
        E::SenderSyntax => ("sender-syntax", "Adresse d'expedition mal formee.", "in1_line_ends_inside_commands"),
        E::RecipientSyntax => {
            ("recipient-syntax", "Adresse de destinataire mal formee.", "in1_line_ends_inside_commands")
        }
        E::AddressLiteral => {
            ("address-literal", "Les adresses entre crochets ne sont pas acceptees.", "in11_in14_reach_the_wire")
        }
        E::NeedsSmtpUtf8 => ("needs-smtputf8", "Cette adresse demande SMTPUTF8.", "in11_in14_reach_the_wire"),
        E::ParameterValue => ("parameter-value", "Parametre incorrect ou repete.", "in11_in14_reach_the_wire"),
        E::UnknownParameter => ("unknown-parameter", "Parametre inconnu.", "in11_in14_reach_the_wire"),
        E::TooLarge => {
            ("announced-too-large", "Message trop volumineux : reduisez les pieces jointes.", "sm3_nt_x07_over_size")
        }
        E::Sequence => ("sequence", "Commandes dans le mauvais ordre.", "nt_x08_sequences"),
        E::NoRecipients => ("no-recipients", "Aucun destinataire accepte.", "nt_x08_sequences"),
        E::TlsFirst => ("tls-first", "Activez d'abord STARTTLS.", "nt_x02_tls_required"),
        E::AuthNeedsTls => {
            ("auth-needs-tls", "Chiffrement obligatoire pour s'authentifier.", "nt_x05_auth_out_of_place")
        }
        E::Mechanism => ("mechanism", "Mecanisme non propose : utilisez EXTERNAL.", "auth_external_in_its_forms"),
        E::AuthCancelled => ("auth-cancelled", "Authentification annulee.", "auth_external_in_its_forms"),
        E::AuthResponse => ("auth-response", "Reponse d'authentification illisible.", "auth_external_in_its_forms"),
        E::TooManyRecipients => (
            "recipients-limit",
            "Trop de destinataires pour un seul message : envoyez-le en plusieurs fois.",
            "rx3_recipient_flood",
        ),
        E::OutOfSync => ("out-of-sync", "Commande envoyee avant son tour.", "sm6_talk_before_the_banner"),
        E::BehindStartTls => {
            ("behind-starttls", "Rien ne doit suivre STARTTLS avant la negociation.", "tl1_bytes_behind_starttls")
        }
        E::Http => ("http", "Ceci est un serveur de messagerie.", "tl8_http"),
        E::TooManyCommands => ("too-many-commands", "Trop de commandes sans message.", "rx5_junk_commands"),
        E::TooManyErrors => ("too-many-errors", "Trop d'erreurs.", "rx5_repeated_hello_errors_and_refusals"),
        E::Internal => ("internal", "Incident interne : reessayez plus tard.", "caller_answers_421_or_nonsense"),
    }
}

const fn body(fault: BodyFault) -> (&'static str, &'static str, &'static str) {
    match fault {
        BodyFault::BareCr => (
            "body-bare-cr",
            "Message refuse : CR isole ; les lignes doivent finir par CR LF, corrigez votre logiciel.",
            "sm1_sm3_smuggled_commands_never_run",
        ),
        BodyFault::BareLf => (
            "body-bare-lf",
            "Message refuse : LF isole ; les lignes doivent finir par CR LF, corrigez votre logiciel.",
            "sm1_sm3_smuggled_commands_never_run",
        ),
        BodyFault::Nul => (
            "body-nul",
            "Message refuse : octet nul ; joignez les donnees binaires en piece jointe.",
            "sm1_sm3_smuggled_commands_never_run",
        ),
        BodyFault::LineTooLong => {
            ("body-line-too-long", "Message refuse : ligne trop longue, corrigez votre logiciel.", "faults_are_named")
        }
        BodyFault::TooLarge => {
            ("body-too-large", "Message trop volumineux : reduisez les pieces jointes.", "sm3_nt_x07_over_size")
        }
        BodyFault::Unterminated => {
            ("body-unterminated", "Message refuse : derniere ligne incomplete.", "sm4_stray_bytes_never_leave")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::refusal::{MAX_REPLY_LINE, RefusalId};

    #[test]
    fn every_complaint_is_said_in_both_languages_under_its_own_id() {
        let mut ids: BTreeSet<&str> = RefusalId::ALL.iter().map(|id| id.row().id).collect();
        for complaint in complaints() {
            let words = words(complaint);
            assert!(ids.insert(words.id), "{} twice", words.id);
            assert!(words.fr.is_ascii());
            let reply = reply(complaint, "aide@ch-exemple.test");
            assert_eq!((reply.code(), reply.enhanced()), (complaint.reply().code(), complaint.reply().enhanced()));
            let mut wire = Vec::new();
            reply.write_to(&mut wire);
            let wire = String::from_utf8(wire).unwrap();
            assert_eq!(wire.lines().count(), 3, "{wire}");
            assert!(wire.contains("aide@ch-exemple.test"));
            assert!(wire.split_inclusive("\r\n").all(|line| line.len() <= MAX_REPLY_LINE));
        }
    }
}
