//! Scene 5: what must fail, and what the sender is told.

use ident::Address;
use lettre::address::Envelope;

use super::Sending;
use crate::{
    demo::{
        cast::Place,
        letter::Letter,
        practice::{Protection, Software},
        story::{StoryError, stage::Stage, teller::Teller},
    },
    refusal::RefusalId,
};

/// One attempt that must be refused.
struct Attempt {
    what: String,
    software: Software,
    /// In From.
    from: Address,
    /// In the envelope, where it is another.
    envelope: Option<Address>,
    to: Address,
    as_it_should: RefusalId,
}

/// Tries them all.
pub(super) async fn tell(teller: &mut Teller, stage: &Stage) -> Result<(), StoryError> {
    teller.scene("What must fail, and what the sender's software shows")?;
    for attempt in authors(stage)?.into_iter().chain(cards(stage)?).chain(operators(stage)?) {
        teller.step(&attempt.what)?;
        let sending = attempt.make().await?;
        teller.quote(&sending.words())?;
        teller.expect("refused, as it should be", sending.refused_as(attempt.as_it_should))?;
    }
    Ok(())
}

impl Attempt {
    async fn make(&self) -> Result<Sending, StoryError> {
        let letter = Letter {
            from: ("Essai", &self.from),
            sender: None,
            to: std::slice::from_ref(&self.to),
            subject: "Essai",
            text: "Ce message (fictif) ne doit pas passer.\n",
            report: &[],
            id: &format!("essai.{}@{}", Stage::now().millis(), self.from.domain()),
            at: Stage::now(),
        };
        let message = letter.compose()?;
        let Some(sender) = &self.envelope else { return Sending::of(&self.software, &message).await };
        let own = message.envelope();
        let sender = sender.to_string().parse().ok().or_else(|| own.from().cloned());
        match Envelope::new(sender, own.to().to_vec()) {
            Ok(envelope) => Sending::under(&self.software, envelope, &message).await,
            // Only an envelope without recipients is none.
            Err(_) => Sending::of(&self.software, &message).await,
        }
    }
}

/// Good cards, wrong addresses.
fn authors(stage: &Stage) -> Result<Vec<Attempt>, StoryError> {
    let (doctor, other) = (stage.name("martin")?, stage.name("durand")?);
    let (own, others, to) = (stage.mailbox("martin")?, stage.mailbox("durand")?, stage.mailbox("moreau")?);
    Ok(vec![
        Attempt {
            what: format!("{} writes for {other}, who never granted it.", stage.name("bernard")?),
            software: stage.software("bernard")?,
            from: others.clone(),
            envelope: None,
            to: to.clone(),
            as_it_should: RefusalId::NotYourAddress,
        },
        Attempt {
            what: format!("{doctor} writes from {other}'s address."),
            software: stage.software("martin")?,
            from: others.clone(),
            envelope: None,
            to: to.clone(),
            as_it_should: RefusalId::NotYourAddress,
        },
        Attempt {
            what: format!("{doctor} hides {other}'s address in the message, behind her own on the envelope."),
            software: stage.software("martin")?,
            from: others,
            envelope: Some(own.clone()),
            to,
            as_it_should: RefusalId::FromDiffers,
        },
        Attempt {
            what: format!("{doctor} writes to a patient's consumer mailbox."),
            software: stage.software("martin")?,
            from: own,
            envelope: None,
            to: consumer()?,
            as_it_should: RefusalId::OutsideTrustedSpace,
        },
    ])
}

/// A mailbox outside the trusted space.
pub(super) fn consumer() -> Result<Address, StoryError> {
    let text = "patient@grand-public.example";
    Address::parse(text).map_err(|_| crate::demo::cast::CastError(text.to_owned()).into())
}

/// Wrong cards, and no TLS.
fn cards(stage: &Stage) -> Result<Vec<Attempt>, StoryError> {
    let to = stage.mailbox("moreau")?;
    let mut attempts = vec![];
    for (key, what, as_it_should) in [
        ("leroy", ", whose card is revoked, writes from his own address.", RefusalId::CertificateRevoked),
        ("girard", ", whose card has expired, writes from her own address.", RefusalId::CertificateExpired),
        (
            "fontaine",
            " comes with a card that says the right things, issued under another root.",
            RefusalId::CertificateUntrusted,
        ),
    ] {
        attempts.push(Attempt {
            what: format!("{}{what}", stage.name(key)?),
            software: stage.software(key)?,
            from: stage.mailbox(key)?,
            envelope: None,
            to: to.clone(),
            as_it_should,
        });
    }
    attempts.push(Attempt {
        what: format!("{}'s software is set up without TLS.", stage.name("martin")?),
        software: Software { protection: Protection::None, ..stage.software("martin")? },
        from: stage.mailbox("martin")?,
        envelope: None,
        to,
        as_it_should: RefusalId::TlsRequired,
    });
    Ok(attempts)
}

/// Other operators at A's exchange port.
fn operators(stage: &Stage) -> Result<Vec<Attempt>, StoryError> {
    let to = stage.mailbox("martin")?;
    Ok(vec![
        Attempt {
            what: "A server with a good certificate, which the trust list does not name, knocks at A's port for operators."
                .to_owned(),
            software: stage.peer(&stage.space.stranger),
            from: stage.mailbox("petit")?,
            envelope: None,
            to: to.clone(),
            as_it_should: RefusalId::PeerNotListed,
        },
        Attempt {
            what: format!("The third operator, which is listed, writes to A for a doctor of {}.", Place::B.domain()?),
            software: stage.peer(&stage.space.operator),
            from: stage.mailbox("moreau")?,
            envelope: None,
            to,
            as_it_should: RefusalId::PeerNotForDomain,
        },
    ])
}
