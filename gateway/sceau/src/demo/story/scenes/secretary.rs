//! Scene 4: a secretary writes for her doctor.

use super::Sending;
use crate::demo::{
    letter::Letter,
    story::{
        StoryError,
        stage::Stage,
        teller::{Teller, check},
    },
};

const SUBJECT: &str = "Rendez-vous de contrôle";

/// Sends it and shows what the reader is told.
pub(super) async fn tell(teller: &mut Teller, stage: &Stage) -> Result<(), StoryError> {
    teller.scene("A secretary writes for her doctor")?;
    let (secretary, doctor) = (stage.name("bernard")?, stage.name("martin")?);
    let (from, to) = (stage.mailbox("martin")?, stage.mailbox("moreau")?);
    teller.step(&format!(
        "{secretary} shows her hospital staff card (CPE) and writes from {from}, whose registry entry grants it."
    ))?;
    let letter = Letter {
        from: (&doctor, &from),
        sender: None,
        to: std::slice::from_ref(&to),
        subject: SUBJECT,
        text: "Le rendez-vous de controle est fixe au 12 mars (fictif).\n",
        report: &[],
        id: &format!("secretariat.{}@{}", Stage::now().millis(), from.domain()),
        at: Stage::now(),
    };
    let sending = Sending::of(&stage.software("bernard")?, &letter.compose()?).await?;
    teller.quote(&sending.words())?;
    teller.expect("accepted", sending.accepted())?;
    let received = stage.arrival(&to, |received| received.field("Subject") == SUBJECT).await?;
    teller.step(&format!("{} reads it at hospital B.", stage.name("moreau")?))?;
    teller.quote(&received.shown())?;
    teller.say("Her card carries a staff number, not a name: her hospital knows who that is.")?;
    let number = stage.holder("bernard")?.person.id.to_string();
    let notice = received.notice();
    teller.expect(
        "the reader is told that it was written by delegation, and with which card",
        check(
            notice.contains("écrit par délégation") && notice.contains(&number),
            format!("« écrit par délégation » and {number}"),
            notice,
        ),
    )
}
