//! The sentences of delivery notices, in both languages.

use ident::Timestamp;

use super::{Action, Notice, Reported, line};

/// Constant subjects: nothing of the original's subject, which may name a patient.
pub(super) const fn subject(worst: Action) -> &'static str {
    match worst {
        Action::Failed => "Message non remis / Message not delivered",
        Action::Delayed => "Message retardé / Message delayed",
        Action::Relayed => "Message transmis / Message relayed",
        Action::Delivered | Action::Expanded => "Message remis / Message delivered",
    }
}

/// The part for people: French, then English.
pub(super) fn human(notice: &Notice<'_>, worst: Action) -> String {
    let french = one_language(notice, worst, true);
    let english = one_language(notice, worst, false);
    format!("{french}\n-- English --\n\n{english}")
}

fn one_language(notice: &Notice<'_>, worst: Action, french: bool) -> String {
    let pick = |fr: &'static str, en: &'static str| if french { fr } else { en };
    let mut out = pick("Bonjour,\n\n", "Hello,\n\n").to_owned();
    out.push_str(match worst {
        Action::Failed => pick(
            "Votre message n'a pas pu être remis à tous ses destinataires.\n",
            "Your message could not be delivered to all its recipients.\n",
        ),
        Action::Delayed => pick(
            "Votre message n'est pas encore remis. Ne le renvoyez pas : nous continuons d'essayer.\nSi le soin ne peut pas attendre, appelez votre correspondant.\n",
            "Your message is not delivered yet. Do not send it again: we go on trying.\nIf care cannot wait, telephone the person you wrote to.\n",
        ),
        Action::Relayed => pick(
            "Votre message a été transmis à l'opérateur du destinataire, qui n'envoie pas d'avis de remise.\n",
            "Your message was handed to the recipient's operator, which sends no delivery notices.\n",
        ),
        Action::Delivered | Action::Expanded => {
            pick("Votre message a été remis.\n", "Your message was delivered.\n")
        }
    });
    for reported in notice.recipients {
        out.push('\n');
        out.push_str(&recipient(reported, french));
    }
    out.push_str(pick(
        "\nLe contenu de votre message n'est pas joint, pour rester confidentiel ; il est dans vos messages envoyés.\n",
        "\nThe content of your message is not attached, to keep it confidential; it is among your sent messages.\n",
    ));
    if let Some(help) = notice.help {
        out.push_str(&format!("{} {}\n", pick("Aide :", "Help:"), line(help, 200)));
    }
    out
}

fn recipient(reported: &Reported, french: bool) -> String {
    let pick = |fr: &'static str, en: &'static str| if french { fr } else { en };
    let state = match reported.action {
        Action::Failed => pick("non remis", "not delivered"),
        Action::Delayed => pick("en attente", "waiting"),
        Action::Relayed => pick("transmis", "relayed"),
        Action::Delivered | Action::Expanded => pick("remis", "delivered"),
    };
    let colon = pick(" :", ":");
    let mut out = format!("{}{colon} {state}\n", reported.recipient);
    let advice = if french { &reported.advice.fr } else { &reported.advice.en };
    if !advice.is_empty() {
        out.push_str(&format!("  {advice}\n"));
    }
    if let Some(reply) = &reported.reply {
        let said = pick("Réponse du serveur", "The server answered");
        out.push_str(&format!("  {said}{colon} {}\n", line(reply, 500)));
    }
    let when = |label: &str, at: Option<Timestamp>| {
        at.map(|at| format!("  {label}{colon} {}\n", at.rfc3339())).unwrap_or_default()
    };
    if reported.action == Action::Delayed {
        out.push_str(&when(pick("Prochain essai", "Next attempt"), reported.next_attempt));
        out.push_str(&when(pick("Abandon", "Given up at"), reported.retry_until));
    }
    out
}
