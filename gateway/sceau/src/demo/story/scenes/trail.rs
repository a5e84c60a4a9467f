//! Scene 7: what operators can see afterwards.

use super::{
    letter::{CONTENT, First},
    refusals::consumer,
};
use crate::demo::{
    cast::Place,
    story::{
        StoryError, label,
        stage::Stage,
        teller::{Teller, check},
    },
};

/// Asks `why` at both ends, and `explain`.
pub(super) async fn tell(teller: &mut Teller, stage: &Stage, first: &First) -> Result<(), StoryError> {
    teller.scene("What the operators can see afterwards")?;
    let id = format!("<{}>", first.message_id);
    for place in [Place::A, Place::B] {
        teller.step(&format!("What became of the first letter, at {}?", label(place)))?;
        let configuration = stage.space.configuration(place);
        teller.command(&format!("sceau why '{id}' --english --config {}", stage.short(&configuration)))?;
        let said = stage.sceau_at(place, &["why", &id, "--english"]).await?;
        teller.quote(&format!("{}{}", said.text, said.errors))?;
        let told = said.code == Some(0) && said.text.contains("ended for every recipient");
        let silent = CONTENT.iter().all(|words| !said.text.contains(words));
        teller.expect(
            "the whole way, and no word of the content",
            check(told && silent, "exit 0, ended for every recipient, nothing of subject and text", &said.text),
        )?;
    }
    let (from, to) = (stage.mailbox("martin")?.to_string(), consumer()?.to_string());
    let card = stage.holder("martin")?.card.certificate.clone();
    let configuration = stage.space.configuration(Place::A);
    teller.step("Why would that patient's mailbox be refused? Asked without sending anything:")?;
    teller.command(&format!(
        "sceau explain --config {} --as {} --from {from} --to {to}",
        stage.short(&configuration),
        stage.short(&card)
    ))?;
    let card = card.display().to_string();
    let said = stage.sceau_at(Place::A, &["explain", "--as", &card, "--from", &from, "--to", &to]).await?;
    teller.quote(&format!("{}{}", said.text, said.errors))?;
    let no = said.code == Some(1) && said.text.contains("outside-trusted-space");
    teller.expect("a clear no (exit 1), with its reason", check(no, "exit 1, outside-trusted-space", &said.text))
}
