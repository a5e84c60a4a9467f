//! Every refusal that a peer can read: one table of stable ids, codes and sentences.
//!
//! A sentence says what is wrong *and what to do next*, in French and in English, in ASCII,
//! because that is all an SMTP reply may hold. The private cause never leaves: it goes to the
//! log and the trail. `specs/refusals.md` is generated from this table and checked by a test.

pub mod protocol;

use std::fmt::Write as _;

use smtp::Reply;

/// Octets in one reply line, CRLF included (RFC 5321 §4.5.3.1.5).
pub const MAX_REPLY_LINE: usize = 512;

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Stable id, shown in brackets in the reply, in the trail and in `explain`.
    pub id: &'static str,
    /// SMTP code.
    pub code: u16,
    /// Enhanced status code (RFC 3463).
    pub enhanced: (u8, u16, u16),
    /// Code of the national table SMTPERRORCODE.
    pub national: u16,
    /// French sentence, ASCII.
    pub fr: &'static str,
    /// English sentence, ASCII.
    pub en: &'static str,
    /// The test that shows it.
    pub test: &'static str,
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $code:literal $class:literal . $subject:literal . $detail:literal, $national:literal,
        $fr:literal, $en:literal, $test:literal;)*) => {
        /// Why something was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum RefusalId { $($(#[$doc])* $name,)* }

        impl RefusalId {
            /// Every refusal, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its row of the table.
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$name => Row { id: $id, code: $code, enhanced: ($class, $subject, $detail), national: $national,
                        fr: $fr, en: $en, test: $test },)*
                }
            }
        }
    };
}

refusals! {
    /// Nothing is said before TLS (RFC 3207).
    TlsRequired = "tls-required", 530 5 . 7 . 0, 530,
        "Chiffrement obligatoire : activez STARTTLS (TLS 1.2 ou plus) dans votre logiciel puis recommencez.",
        "Encryption is required: switch STARTTLS (TLS 1.2 or later) on in your software and try again.", "plain_text_is_refused";
    /// TLS without a client certificate.
    CertificateRequired = "certificate-required", 530 5 . 7 . 1, 530,
        "Certificat client obligatoire : presentez la carte CPS ou le certificat de votre structure.",
        "A client certificate is required: present your professional card or your structure's certificate.", "no_certificate_is_refused";
    /// No pinned root for that purpose.
    CertificateUntrusted = "certificate-untrusted", 550 5 . 7 . 1, 541,
        "Ce certificat n'a pas ete emis par une autorite de confiance de l'espace : utilisez un certificat IGC-Sante.",
        "This certificate was not issued by a trusted authority of the space: use one that was.", "a_card_from_another_root_is_refused";
    /// Past its end.
    CertificateExpired = "certificate-expired", 550 5 . 7 . 1, 541,
        "Ce certificat est expire ou pas encore valable : renouvelez-le ou verifiez l'horloge de votre poste.",
        "This certificate is expired or not yet valid: renew it, or check your machine's clock.", "an_expired_card_is_refused";
    /// Listed in a CRL.
    CertificateRevoked = "certificate-revoked", 550 5 . 7 . 1, 541,
        "Ce certificat est revoque : demandez une nouvelle carte ou un nouveau certificat.",
        "This certificate is revoked: ask for a new card or certificate.", "a_revoked_card_is_refused";
    /// Any other fault of the certificate or its path.
    CertificateInvalid = "certificate-invalid", 550 5 . 7 . 1, 541,
        "Ce certificat n'est pas acceptable pour cet usage : verifiez son type aupres de votre editeur.",
        "This certificate is not acceptable for this use: check its kind with your software's vendor.", "a_certificate_for_another_purpose_is_refused";
    /// Revocation or path cannot be told now.
    CertificateUndetermined = "certificate-undetermined", 451 4 . 7 . 5, 451,
        "L'etat du certificat ne peut pas etre verifie pour le moment : votre logiciel reessaiera, rien n'est perdu.",
        "The certificate's state cannot be checked right now: your software will try again, nothing is lost.", "an_undetermined_certificate_is_deferred";
    /// A valid certificate that names nobody we can know.
    IdentityUnknown = "identity-unknown", 550 5 . 7 . 1, 541,
        "Ce certificat ne porte pas d'identifiant national : utilisez une carte ou un certificat de structure.",
        "This certificate carries no national identifier: use a card or a structure's certificate.", "a_certificate_without_national_id_is_refused";
    /// The directory says that the person no longer practises.
    HolderInactive = "holder-inactive", 550 5 . 7 . 1, 550,
        "L'annuaire indique que ce professionnel n'exerce plus : faites corriger l'annuaire sante.",
        "The directory says that this professional no longer practises: have the directory corrected.", "an_inactive_holder_is_refused";
    /// The directory says that the card is opposed.
    CardOpposed = "card-opposed", 550 5 . 7 . 1, 550,
        "Cette carte est en opposition : demandez une nouvelle carte.",
        "This card has been reported and blocked: ask for a new card.", "an_opposed_card_is_refused";
    /// The address belongs to somebody else.
    NotYourAddress = "not-your-address", 550 5 . 7 . 1, 550,
        "Cette adresse d'expedition n'appartient pas au porteur du certificat : ecrivez depuis votre propre adresse ou demandez une delegation.",
        "This From address does not belong to the certificate's holder: write from your own address or ask for a delegation.",
        "another_doctors_address_is_refused";
    /// The mailbox is ours by domain, but nobody registered it.
    SenderUnknown = "sender-unknown", 550 5 . 1 . 8, 550,
        "Cette adresse d'expedition n'est pas enregistree ici : demandez sa creation a votre operateur.",
        "This sender address is not registered here: ask your operator to create it.", "an_unregistered_sender_is_refused";
    /// The mailbox is closed.
    SenderClosed = "sender-closed", 550 5 . 1 . 8, 550,
        "Cette adresse d'expedition est fermee : ecrivez depuis une autre de vos boites, ou demandez sa reouverture a votre operateur.",
        "This sender address is closed: write from another of your mailboxes, or ask your operator to open it again.",
        "a_closed_mailbox_neither_takes_nor_sends";
    /// A domain that this gateway does not serve.
    SenderNotOurs = "sender-not-ours", 550 5 . 7 . 1, 551,
        "Ce serveur n'envoie pas pour ce domaine : configurez le serveur de votre propre operateur.",
        "This server does not send for that domain: configure your own operator's server.", "a_foreign_sender_domain_is_refused";
    /// MAIL FROM:<> at submission.
    NullSender = "null-sender", 550 5 . 7 . 1, 553,
        "Une adresse d'expedition est obligatoire pour envoyer un message.",
        "A sender address is required to send a message.", "a_null_sender_is_refused_at_submission";
    /// Header From and envelope disagree.
    FromDiffers = "from-differs", 550 5 . 7 . 1, 550,
        "L'adresse From du message differe de l'adresse d'expedition de l'enveloppe : utilisez la meme adresse.",
        "The message's From address differs from the envelope's sender: use the same address.", "header_from_must_be_the_envelope_sender";
    /// Sender names somebody who is not the delegate.
    SenderHeader = "sender-header", 550 5 . 7 . 1, 550,
        "L'en-tete Sender ne designe pas le porteur du certificat : retirez-le ou mettez votre propre adresse.",
        "The Sender header does not name the certificate's holder: remove it or put your own address.", "a_spoofed_sender_header_is_refused";
    /// The signature that practice software put on the message is broken, revoked, or by nobody we can trust.
    AuthorSignatureInvalid = "author-signature-invalid", 550 5 . 7 . 7, 554,
        "La signature que votre logiciel a mise sur ce message n'est pas valable : signez-le a nouveau avec votre carte, ou envoyez-le sans signature.",
        "The signature that your software put on this message is not valid: sign it again with your card, or send it unsigned.",
        "a_broken_or_foreign_signature_of_practice_software_is_refused";
    /// The signature that practice software put on the message is good, and not its author's.
    AuthorSignatureForeign = "author-signature-foreign", 550 5 . 7 . 1, 541,
        "Ce message est signe par quelqu'un d'autre que l'adresse From : signez avec la carte de l'expediteur, ou envoyez-le sans signature.",
        "This message is signed by somebody else than its From address: sign with the sender's card, or send it unsigned.",
        "a_broken_or_foreign_signature_of_practice_software_is_refused";
    /// The signature that practice software put on the message cannot be judged now.
    AuthorSignatureUndetermined = "author-signature-undetermined", 451 4 . 7 . 5, 451,
        "La signature de ce message ne peut pas etre verifiee pour le moment : votre logiciel reessaiera ; urgent : envoyez-le sans signature.",
        "This message's signature cannot be checked right now: your software will try again; if urgent, send it unsigned.",
        "an_undetermined_author_signature_is_deferred";
    /// Not on the trust list.
    OutsideTrustedSpace = "outside-trusted-space", 550 5 . 7 . 1, 550,
        "Ce destinataire est hors de l'espace de confiance : verifiez l'adresse dans l'annuaire, n'utilisez pas une messagerie grand public.",
        "This recipient is outside the trusted space: check the address in the directory, do not use consumer mail.",
        "a_consumer_mailbox_is_refused";
    /// Struck off by a list that shrank abnormally: 451 to its operator, until somebody has looked.
    DomainWaiting = "domain-waiting", 451 4 . 7 . 1, 451,
        "Ce domaine vient de quitter la liste blanche avec beaucoup d'autres : ses messages attendent une verification, votre logiciel reessaiera ; prevenez votre operateur.",
        "This domain has just left the trust list together with many others: its mail waits for a second look, your software will try again; tell your operator.",
        "domains_struck_off_in_great_number_wait_then_are_refused";
    /// An operator of ours stopped the exchange, and mail is refused.
    Blocked = "blocked", 550 5 . 7 . 1, 550,
        "Les echanges avec ce correspondant sont bloques par mesure d'urgence : le message est refuse, appelez l'aide indiquee.",
        "Exchange with this correspondent is blocked as an emergency measure: the message is refused, call the help given.",
        "a_block_refuses_both_directions_and_ends_by_itself";
    /// An operator of ours stopped the exchange, and mail waits.
    BlockedForNow = "blocked-for-now", 451 4 . 7 . 1, 451,
        "Les echanges avec ce correspondant sont suspendus par mesure d'urgence : le message attend, votre logiciel reessaiera ; urgent : appelez l'aide indiquee.",
        "Exchange with this correspondent is suspended as an emergency measure: mail waits, your software will try again; if urgent, call the help given.",
        "a_block_refuses_both_directions_and_ends_by_itself";
    /// One of our domains, no such mailbox.
    RecipientUnknown = "recipient-unknown", 550 5 . 1 . 1, 550,
        "Cette boite n'existe pas ici : verifiez l'adresse dans l'annuaire.",
        "There is no such mailbox here: check the address in the directory.", "an_unknown_local_recipient_is_refused";
    /// One of our mailboxes, and closed.
    RecipientClosed = "recipient-closed", 550 5 . 1 . 6, 550,
        "Cette boite est fermee depuis la date ci-dessous et personne ne la remplace : cherchez un autre correspondant dans l'annuaire.",
        "This mailbox is closed since the date below and nobody takes over: look another correspondent up in the directory.",
        "a_closed_mailbox_neither_takes_nor_sends";
    /// One of our mailboxes, closed, and somebody takes over.
    RecipientMoved = "recipient-moved", 551 5 . 1 . 6, 551,
        "Cette boite est fermee depuis la date ci-dessous : ecrivez a l'adresse qui suit cette date.",
        "This mailbox is closed since the date below: write to the address that follows it.",
        "a_closed_mailbox_neither_takes_nor_sends";
    /// The partner rule wants S/MIME, and the book holds no certificate.
    NoCertificateForRecipient = "no-certificate-for-recipient", 550 5 . 7 . 1, 541,
        "Aucun certificat de chiffrement connu pour ce destinataire : prevenez votre operateur.",
        "No encryption certificate is known for this recipient: tell your operator.", "a_recipient_without_certificate_is_refused";
    /// Every certificate held for the recipient is expired, revoked or otherwise wrong.
    RecipientCertificateInvalid = "recipient-certificate-invalid", 550 5 . 7 . 1, 541,
        "Le certificat de chiffrement de ce destinataire n'est plus valable : prevenez votre operateur.",
        "This recipient's encryption certificate is no longer valid: tell your operator.", "a_recipient_with_a_revoked_certificate_is_refused";
    /// The state of the recipient's certificate cannot be told now.
    RecipientCertificateUndetermined = "recipient-certificate-undetermined", 451 4 . 7 . 5, 451,
        "Le certificat de ce destinataire ne peut pas etre verifie pour le moment : votre logiciel reessaiera.",
        "This recipient's certificate cannot be checked right now: your software will try again.", "an_undetermined_recipient_certificate_is_deferred";
    /// The certificate that was used is out of date, withdrawn, or its successor waits for approval.
    RecipientCertificateAwaited = "recipient-certificate-awaited", 451 4 . 7 . 5, 451,
        "Le nouveau certificat de ce destinataire est attendu ; rien ne part en clair, votre logiciel reessaiera. Urgent : prevenez votre operateur.",
        "This recipient's new certificate is awaited; nothing is sent unsealed, your software will try again. If urgent, tell your operator.",
        "a_domain_once_sealed_is_never_silently_downgraded";
    /// No path of the partner's certificates follows a policy that the partner rule accepts.
    PolicyNotAccepted = "policy-not-accepted", 550 5 . 7 . 1, 541,
        "Le certificat du correspondant ne suit aucune politique de certification acceptee pour son domaine : prevenez votre operateur.",
        "The correspondent's certificate follows no certificate policy accepted for that domain: tell your operator.",
        "a_certificate_under_another_policy_is_refused";
    /// The partner rule does not allow the cipher or the key transport.
    AlgorithmNotAllowed = "algorithm-not-allowed", 554 5 . 7 . 4, 541,
        "Cet algorithme de chiffrement n'est pas accepte entre ces deux domaines : prevenez votre operateur.",
        "This encryption algorithm is not accepted between these two domains: tell your operator.",
        "an_algorithm_outside_the_partner_rule_is_refused";
    /// Copies of one message would leave under different cryptography, and the operator does not want that.
    MixedStrength = "mixed-strength", 554 5 . 7 . 4, 541,
        "Ce destinataire ne lit qu'une protection plus faible que les autres : ecrivez-lui un message separe, ou retirez-le.",
        "This recipient reads weaker protection only than the others: write that one a message apart, or remove it.",
        "copies_of_different_strength_are_a_decision_with_a_trail";
    /// Over the cap of recipients.
    TooManyRecipients = "too-many-recipients", 452 4 . 5 . 3, 452,
        "Trop de destinataires pour un seul message : envoyez-le en plusieurs fois.",
        "Too many recipients for one message: send it in several parts.", "too_many_recipients_are_deferred";
    /// At the exchange port: not one of our domains.
    RelayRefused = "relay-refused", 551 5 . 7 . 1, 551,
        "Ce serveur ne relaie pas vers ce domaine : consultez la liste blanche pour le bon serveur.",
        "This server does not relay to that domain: see the trust list for the right server.", "relaying_for_others_is_refused";
    /// Larger than we take.
    TooLarge = "too-large", 552 5 . 3 . 4, 552,
        "Message trop volumineux : reduisez les pieces jointes.",
        "The message is too large: make the attachments smaller.", "an_oversized_message_is_refused";
    /// Larger than one of its recipients takes, once sealed.
    TooLargeForRecipient = "too-large-for-recipient", 552 5 . 3 . 4, 523,
        "Message trop volumineux pour un destinataire : reduisez les pieces jointes ou retirez ce destinataire.",
        "The message is too large for one recipient: make the attachments smaller or remove that recipient.",
        "a_message_too_large_for_a_partner_is_refused";
    /// Bare CR, bare LF or NUL (SM1, SM2).
    LineEndings = "line-endings", 550 5 . 5 . 2, 554,
        "Fins de ligne interdites dans le message (CR ou LF isole, NUL) : corrigez votre logiciel.",
        "Forbidden line endings in the message (bare CR or LF, NUL): have your software corrected.", "bare_line_feeds_are_refused";
    /// A header that cannot be read in one way only.
    HeaderMalformed = "header-malformed", 550 5 . 6 . 0, 554,
        "En-tetes du message incorrects : corrigez votre logiciel.",
        "The message's headers are malformed: have your software corrected.", "duplicate_from_is_refused";
    /// Too many Received headers (LP1).
    Loop = "loop", 554 5 . 4 . 6, 554,
        "Le message tourne en boucle entre serveurs : prevenez votre operateur.",
        "The message is looping between servers: tell your operator.", "a_looping_message_is_refused";
    /// The peer's certificate is valid, but no listed domain names it.
    PeerNotListed = "peer-not-listed", 550 5 . 7 . 1, 551,
        "Votre serveur n'est pas sur la liste blanche de l'espace de confiance : verifiez votre adhesion.",
        "Your server is not on the trust list of the space: check your membership.", "an_unlisted_operator_is_refused";
    /// A listed operator that writes for somebody else's domain.
    PeerNotForDomain = "peer-not-for-domain", 550 5 . 7 . 1, 551,
        "La liste blanche ne vous autorise pas a emettre pour ce domaine.",
        "The trust list does not allow you to send for that domain.", "a_listed_operator_for_another_domain_is_refused";
    /// Decryption failed, or what came out is refused and nothing shows that it is its bringer's: one outward
    /// behaviour for all of these (H4, decision 0042).
    OpeningFailed = "opening-failed", 554 5 . 7 . 5, 554,
        "Le message chiffre n'a pas pu etre ouvert, ou rien ne montre qu'il est de son expediteur : chiffrez-le avec le certificat actuel de ce domaine et signez-le avec celui de l'expediteur.",
        "The encrypted message could not be opened, or nothing shows that it is its sender's: encrypt it with this domain's current certificate and sign it with the sender's.", "a_message_sealed_for_another_key_is_refused";
    /// Too many of the peer's messages could not be opened: decryption is no oracle (design §7).
    TooManyUnreadable = "too-many-unreadable", 451 4 . 7 . 1, 451,
        "Trop de messages de votre operateur n'ont pas pu etre ouverts : verifiez le certificat de ce domaine ; les suivants passeront plus tard, rien n'est perdu.",
        "Too many of your operator's messages could not be opened: check this domain's certificate; the next ones pass later, nothing is lost.", "a_peer_of_many_unreadable_messages_waits";
    /// An algorithm, container or parameter that is refused before any key is used.
    ProtectionRefused = "protection-refused", 554 5 . 7 . 5, 554,
        "Le message est protege d'une maniere qui n'est pas acceptee ici : envoyez-le en AES avec RSA-OAEP ou ECDH.",
        "The message is protected in a way that is not accepted here: send it with AES, and RSA-OAEP or ECDH.",
        "an_old_cipher_is_named_and_a_failed_decryption_is_not";
    /// Signature missing where needed, broken, or not covering the message.
    SignatureInvalid = "signature-invalid", 554 5 . 7 . 7, 554,
        "La signature du message n'est pas valable : renvoyez-le, ou prevenez votre operateur.",
        "The message's signature is not valid: send it again, or tell your operator.", "a_broken_signature_is_refused";
    /// A valid signature by somebody who may not speak for From.
    SignerNotBound = "signer-not-bound", 550 5 . 7 . 1, 541,
        "Le signataire du message ne correspond pas a l'adresse d'expedition.",
        "The message's signer does not match its From address.", "a_signer_who_is_not_from_is_refused";
    /// The signature cannot be judged now.
    SignatureUndetermined = "signature-undetermined", 451 4 . 7 . 5, 451,
        "La signature ne peut pas etre verifiee pour le moment : reessayez plus tard, rien n'est perdu.",
        "The signature cannot be checked right now: try again later, nothing is lost.", "an_undetermined_signature_is_deferred";
    /// The partner rule wants sealed mail from that domain.
    SealRequired = "seal-required", 550 5 . 7 . 1, 541,
        "Les messages de ce domaine doivent etre signes et chiffres.",
        "Messages from that domain must be signed and encrypted.", "an_unsealed_message_from_a_sealing_domain_is_refused";
    /// A null-sender message that is no report of the peer's own domains to one of our users.
    ReportMalformed = "report-malformed", 550 5 . 7 . 1, 554,
        "Sans expediteur, seuls passent les comptes rendus et reponses automatiques du domaine emetteur, pour un seul destinataire.",
        "Without a sender, only reports and automatic answers of the peer's own domain pass, for one recipient.",
        "a_null_sender_that_is_no_report_is_refused";
    /// The token that holds our signing or reading key cannot be reached; the message itself was not judged.
    KeyUnavailable = "key-unavailable", 451 4 . 3 . 0, 451,
        "La cle de ce serveur n'est pas disponible pour le moment : votre logiciel reessaiera, rien n'est perdu.",
        "This server's key is not available right now: your software will try again, nothing is lost.", "an_unreachable_key_defers";
    /// The time stamp that the configuration requires was not had.
    TimestampUnavailable = "timestamp-unavailable", 451 4 . 3 . 0, 451,
        "L'horodatage obligatoire n'est pas disponible pour le moment : votre logiciel reessaiera, rien n'est perdu.",
        "The required time stamp is not available right now: your software will try again, nothing is lost.",
        "a_required_time_stamp_that_is_not_had_defers";
    /// One of our readers broke off over a message that was handed in (H22). Final: nothing was promised, and the same
    /// message would do the same again.
    NotProcessed = "not-processed", 554 5 . 3 . 0, 554,
        "Une erreur de ce serveur l'empeche de traiter ce message, et rien n'a ete envoye : prevenez le support, et renvoyez le contenu sous une autre forme.",
        "A fault of this server keeps it from processing this message, and nothing was sent: tell support, and send its content again in another form.",
        "a_reader_that_breaks_off_at_submission_is_final_and_says_so";
    /// Disk or database refused the message.
    StorageUnavailable = "storage-unavailable", 451 4 . 3 . 0, 451,
        "Incident technique : le message n'est pas pris en charge, votre logiciel reessaiera.",
        "Technical fault: the message was not accepted, your software will try again.", "a_failing_store_defers";
    /// No room left.
    StorageFull = "storage-full", 452 4 . 3 . 1, 452,
        "Espace de stockage insuffisant : le message n'est pas pris en charge, votre logiciel reessaiera.",
        "Not enough storage: the message was not accepted, your software will try again.", "a_full_store_defers";
    /// The store stands still: said before the greeting.
    NotReady = "not-ready", 421 4 . 3 . 0, 421,
        "Incident technique : aucun message n'est pris en charge pour l'instant, votre logiciel reessaiera.",
        "Technical fault: no message is accepted at the moment, your software will try again.", "a_failing_store_defers";
    /// Too many connections.
    TooBusy = "too-busy", 421 4 . 3 . 2, 421,
        "Serveur sature : reessayez dans quelques minutes.",
        "The server is busy: try again in a few minutes.", "too_many_connections_are_deferred";
    /// Stopping.
    ShuttingDown = "shutting-down", 421 4 . 3 . 2, 421,
        "Le serveur s'arrete : reessayez dans quelques minutes.",
        "The server is stopping: try again in a few minutes.", "a_stopping_server_says_421";
    /// Silence, or a session that lasts too long.
    Timeout = "timeout", 421 4 . 4 . 2, 420,
        "Delai depasse : reconnectez-vous.",
        "Timed out: connect again.", "a_silent_peer_is_disconnected";
}

/// A refusal on its way to the peer: public id and subject, private cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which row of the table.
    pub id: RefusalId,
    /// What it is about, if the peer already knows it (an address or domain it wrote itself).
    pub about: Option<String>,
    /// Why, for the log and the trail only.
    pub cause: String,
}

impl Refusal {
    /// A refusal with its private cause.
    pub fn new(id: RefusalId, cause: impl Into<String>) -> Self {
        Self { id, about: None, cause: cause.into() }
    }

    /// Names what it is about.
    #[must_use]
    pub fn about(mut self, subject: impl ToString) -> Self {
        self.about = Some(subject.to_string());
        self
    }

    /// Whether trying again later may succeed.
    pub fn is_temporary(&self) -> bool {
        self.id.row().code < 500
    }

    /// The reply: French line, English line, then id, subject and where to find help.
    pub fn reply(&self, help: &str) -> Reply {
        let row = self.id.row();
        let mut last = format!("[{}]", row.id);
        if let Some(about) = &self.about {
            let _ = write!(last, " {}", ascii(about, 200));
        }
        let _ = write!(last, " - Aide/help: {}", ascii(help, 120));
        Reply::new(row.code, row.enhanced, row.fr).and(row.en).and(&last)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.id.row().id, self.cause)
    }
}

/// Printable ASCII only, of bounded length: nothing else may enter a reply line (IN5).
fn ascii(text: &str, limit: usize) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).take(limit).collect()
}

/// The table as Markdown: the content of `specs/refusals.md`.
pub fn table() -> String {
    let mut out = String::from(
        "# Refusals\n\n\
         Made by `sceau refusals > specs/refusals.md` from `gateway/sceau/src/refusal/`; a test keeps both equal, another looks\n\
         for the named tests in the tree. Every reply has three lines: French, English, then the id in brackets, what it is\n\
         about, and the operator's help address. *National* is the code of the agency's table SMTPERRORCODE.\n\n\
         ## Decided by policy\n\n",
    );
    out.push_str(HEADING);
    for id in RefusalId::ALL {
        let Row { id, code, enhanced, national, fr, en, test } = id.row();
        line(&mut out, id, code, enhanced, national, fr, en, test);
    }
    out.push_str("\n## Decided by the protocol\n\n");
    out.push_str(HEADING);
    for complaint in protocol::complaints() {
        let (plain, words) = (complaint.reply(), protocol::words(complaint));
        let enhanced = plain.enhanced().map_or((5, 5, 0), |code| (code.class, code.subject, code.detail));
        let english = plain.lines().join(" ");
        line(
            &mut out,
            words.id,
            plain.code(),
            enhanced,
            protocol::national(plain.code()),
            words.fr,
            &english,
            words.test,
        );
    }
    out
}

const HEADING: &str =
    "| id | code | enhanced | national | French | English | shown by |\n|---|---|---|---|---|---|---|\n";

#[allow(clippy::too_many_arguments)] // the columns of a table
fn line(
    out: &mut String,
    id: &str,
    code: u16,
    enhanced: (u8, u16, u16),
    national: u16,
    fr: &str,
    en: &str,
    test: &str,
) {
    let (class, subject, detail) = enhanced;
    let _ = writeln!(out, "| `{id}` | {code} | {class}.{subject}.{detail} | {national} | {fr} | {en} | `{test}` |");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_published_table_is_this_table() {
        let published = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../specs/refusals.md");
        let published = std::fs::read_to_string(published).unwrap_or_default();
        assert!(published == table(), "run: sceau refusals > specs/refusals.md");
    }

    #[test]
    fn rows_are_sound() {
        let mut ids = BTreeSet::new();
        for id in RefusalId::ALL {
            let row = id.row();
            assert!(ids.insert(row.id), "{} twice", row.id);
            assert_eq!(u16::from(row.enhanced.0), row.code / 100, "{}: class", row.id);
            for text in [row.fr, row.en] {
                assert!(text.is_ascii() && text.len() < 300, "{}: {text}", row.id);
            }
        }
    }

    #[test]
    fn every_reply_line_fits_and_cannot_be_injected() {
        for id in RefusalId::ALL {
            let hostile = format!("a\r\n250 ok{}", "x".repeat(1000));
            let reply = Refusal::new(*id, "private cause").about(&hostile).reply(&hostile);
            let mut wire = Vec::new();
            reply.write_to(&mut wire);
            let wire = String::from_utf8(wire).unwrap();
            assert!(!wire.contains("private cause"));
            for line in wire.split_inclusive("\r\n") {
                assert!(line.len() <= MAX_REPLY_LINE && line.ends_with("\r\n"), "{line}");
                assert!(line.starts_with(&id.row().code.to_string()), "{line}");
            }
        }
    }
}
