//! The catalogue of reasons of a judgement: stable codes, the rule each comes from, its weight,
//! and a sentence in both languages.

use ident::Bilingual;
use pki::finding::Finding;

use crate::{Reason, Verdict, Weight};

impl Weight {
    pub(crate) const fn verdict(self) -> Verdict {
        match self {
            Self::Note => Verdict::Accept,
            Self::Undetermined => Verdict::Undetermined,
            Self::Refuse => Verdict::Refuse,
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $code:literal $rule:literal $weight:ident $fr:literal $en:literal;)*) => {
        /// Why a message is judged as it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Why { $($(#[$doc])* $name,)* }

        impl Why {
            pub(crate) fn reason(self) -> Reason {
                match self {
                    $(Self::$name => Reason {
                        code: $code,
                        rule: $rule,
                        weight: Weight::$weight,
                        text: Bilingual::new($fr, $en),
                    },)*
                }
            }
        }

        /// Every reason that a judgement can give, but for those of certification paths, whose codes
        /// are those of [`pki::finding`].
        pub fn catalogue() -> Vec<Reason> {
            vec![$(Why::$name.reason(),)*]
        }
    };
}

reasons! {
    /// Structure.
    SignatureNotRoot "signature_not_root" "A12" Refuse
        "La signature ne couvre pas tout le message : seule une signature à la racine compte."
        "The signature does not cover the whole message: only a signature at the root counts.";
    SignatureInAttachment "signature_in_attachment" "A12" Note
        "Un message joint est signé ; cela ne dit rien du message lui-même."
        "An attached message is signed; that says nothing about the message itself.";
    SignatureOutside "signature_outside_encryption" "H9" Refuse
        "La signature est autour du chiffrement et ne dit rien de qui a écrit le contenu."
        "The signature is around the encryption and says nothing about who wrote the content.";
    ContentPresent "detached_with_content" "A10" Refuse
        "La signature détachée contient un autre contenu que celui du message."
        "The detached signature carries content of its own.";
    SignerCount "signer_count" "A11" Refuse
        "La signature doit avoir exactement un signataire."
        "The signature must have exactly one signer.";
    Altered "altered" "H6" Refuse
        "Le contenu a été modifié après la signature."
        "The content was changed after signing.";
    SignatureWrong "signature_wrong" "H6" Refuse
        "La signature ne correspond pas au certificat."
        "The signature does not fit the certificate.";
    WeakAlgorithm "weak_signature_algorithm" "H6" Refuse
        "L'algorithme de signature n'est pas accepté ; utilisez au moins SHA-256."
        "The signature algorithm is not accepted; use SHA-256 at least.";
    SignerUnknown "signer_certificate_missing" "H6" Refuse
        "Le certificat du signataire n'est ni dans le message ni connu."
        "The signer's certificate is neither in the message nor known.";
    SignerPurpose "signer_not_for_mail" "NT-T09" Refuse
        "Le certificat du signataire ne sert pas à signer du courrier : il authentifie, ou il déchiffre."
        "The signer's certificate is not for signing mail: it authenticates, or it decrypts.";
    SignatureMalformed "signature_malformed" "H6" Refuse
        "La signature est mal formée."
        "The signature is malformed.";
    AttributesMalformed "signed_attributes_malformed" "A16" Refuse
        "Les attributs signés sont mal formés."
        "The signed attributes are malformed.";
    /// Who.
    Unsigned "unsigned" "A24" Refuse
        "Le message n'est pas signé et aucun opérateur authentifié n'en répond."
        "The message is not signed and no authenticated operator answers for it.";
    NotSigned "not_signed" "A24" Note
        "Opérateur authentifié, message non signé."
        "Operator authenticated, message not signed.";
    FromNotBound "from_not_bound" "A13" Refuse
        "Le signataire n'a pas le droit d'écrire pour l'adresse From."
        "The signer may not write for the From address.";
    OperatorNotListed "operator_not_listed" "A13" Refuse
        "La liste de confiance ne nomme pas cet opérateur pour le domaine de l'adresse From."
        "The trust list does not name this operator for the domain of the From address.";
    OuterFrom "outer_from_differs" "A13" Refuse
        "L'expéditeur visible n'est pas celui qui est signé."
        "The visible sender is not the signed one.";
    OuterTo "outer_to_differs" "A16" Refuse
        "Les destinataires visibles (To) ne sont pas ceux qui sont signés."
        "The visible recipients (To) are not the signed ones.";
    OuterCc "outer_cc_differs" "A16" Refuse
        "Les destinataires visibles (Cc) ne sont pas ceux qui sont signés."
        "The visible recipients (Cc) are not the signed ones.";
    OuterMessageId "outer_message_id_differs" "A13" Refuse
        "L'identifiant visible du message n'est pas celui qui est signé."
        "The visible Message-ID is not the signed one.";
    EnvelopeSender "envelope_sender_differs" "NT-H02" Refuse
        "L'expéditeur de l'enveloppe n'est ni From ni Sender."
        "The envelope sender is neither From nor Sender.";
    SenderDomain "sender_domain" "NT-H04" Refuse
        "L'opérateur ne répond pas du domaine de l'adresse Sender."
        "The operator does not answer for the domain of the Sender address.";
    SignerAwaitsApproval "signer_awaits_approval" "P2" Undetermined
        "Le certificat du signataire est nouveau et attend l'approbation de l'opérateur."
        "The signer's certificate is new and waits for the operator's approval.";
    /// For whom.
    NotIntended "recipient_not_intended" "A16" Refuse
        "Le message a été signé pour d'autres destinataires."
        "The message was signed for other recipients.";
    RecipientsDiffer "recipient_emails_differ" "A16" Refuse
        "Les destinataires inscrits sous la signature (recipient-emails) ne sont pas ceux pour qui le message est chiffré."
        "The recipients under the signature (recipient-emails) are not those that the message is encrypted for.";
    NotNamed "recipient_not_named" "NT-H01" Refuse
        "Le destinataire n'est pas nommé dans le message signé."
        "The recipient is not named in the signed message.";
    /// When.
    TimestampInvalid "timestamp_invalid" "RFC 3161" Note
        "L'horodatage à côté de la signature n'est pas valable : il ne prouve rien."
        "The time stamp beside the signature is not valid: it proves nothing.";
    TimestampUndetermined "timestamp_undetermined" "H25" Note
        "L'autorité d'horodatage n'a pas pu être vérifiée."
        "The authority of the time stamp could not be checked.";
    /// What could mislead a reader.
    AuthorInvalid "author_signature_invalid" "A13" Note
        "La signature de l'auteur, sous celle de l'opérateur, n'est pas valable ou n'est pas celle de l'expéditeur."
        "The author's signature under the operator's is not valid, or is not the sender's.";
    AuthorUndetermined "author_signature_undetermined" "H25" Note
        "La signature de l'auteur, sous celle de l'opérateur, n'a pas pu être vérifiée."
        "The author's signature under the operator's could not be checked.";
    AuthorFields "author_fields_differ" "H8" Note
        "L'objet ou la date affichés ne sont pas ceux que l'auteur a signés : seuls le texte et les pièces jointes le sont."
        "The subject or date shown are not those that the author signed: only text and attachments are.";
    HeaderNotSigned "header_not_signed" "H8" Note
        "La signature couvre le texte et les pièces jointes, mais ni l'objet, ni la date, ni les destinataires."
        "The signature covers text and attachments, but not subject, date or recipients.";
    NotShown "recipient_not_shown" "NT-H01" Note
        "Le destinataire n'est pas parmi ceux que montre le message (To, Cc)."
        "The recipient is not among those that the message shows (To, Cc).";
    OuterFields "outer_fields_differ" "H8" Note
        "L'objet ou la date visibles en chemin ne sont pas ceux qui sont signés ; vous voyez ceux qui sont signés."
        "Subject or date visible on the way are not the signed ones; you see the signed ones.";
    DisplayName "display_name_shows_address" "NT-H07" Note
        "Le nom affiché montre une autre adresse que celle de l'expéditeur."
        "The display name shows another address than the sender's.";
    DisplayNameUnread "display_name_unreadable" "NT-H07" Note
        "Le nom affiché est codé d'une façon que tous les logiciels ne lisent pas de même : fiez-vous à l'adresse."
        "The display name is coded in a way that not all software reads alike: trust the address.";
    CertificateNotNamed "signing_certificate_not_named" "H6" Note
        "La signature ne dit pas quel certificat est le sien, seulement un émetteur et un numéro."
        "The signature does not say which certificate it means, only an issuer and a number.";
    ReplyToOutside "reply_to_outside" "NT-H05" Note
        "L'adresse de réponse est hors de l'espace de confiance."
        "The reply address is outside the trusted space.";
}

impl Why {
    /// An algorithm that signatures may not rest on, by its name.
    pub(crate) fn weak_algorithm(name: &str) -> Reason {
        Reason {
            text: Bilingual::new(
                format!("L'algorithme de signature n'est pas accepté : {name} ; utilisez au moins SHA-256."),
                format!("The signature algorithm is not accepted: {name}; use SHA-256 at least."),
            ),
            ..Self::WeakAlgorithm.reason()
        }
    }

    /// A certification path that is not valid: the code is the finding's.
    pub(crate) fn path_invalid(finding: Finding) -> Reason {
        Reason { code: finding.code, rule: "H25", weight: Weight::Refuse, text: finding.text }
    }

    /// A certification path that cannot be judged now.
    pub(crate) fn path_undetermined(finding: Finding) -> Reason {
        Reason { code: finding.code, rule: "H25", weight: Weight::Undetermined, text: finding.text }
    }
}
