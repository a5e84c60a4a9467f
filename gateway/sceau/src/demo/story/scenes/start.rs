//! Scene 2: the gateways and the third operator start.

use crate::demo::{
    cast::Place,
    story::{StoryError, label, stage::Stage, teller::Teller},
};

/// Starts everything.
pub(super) async fn tell(teller: &mut Teller, stage: &mut Stage) -> Result<(), StoryError> {
    teller.scene("Three operators start")?;
    for (place, ports) in [(Place::A, stage.space.ports.a), (Place::B, stage.space.ports.b)] {
        let configuration = stage.space.configuration(place);
        teller.step(&format!("{}: `sceau serve --config {}`", title(place), stage.short(&configuration)))?;
        let gateway = stage.start_hospital(place).await?;
        let log = gateway.log().to_owned();
        teller
            .fact("practice software", &format!("{} (STARTTLS), {} (TLS)", ports.submission, ports.submission_tls))?;
        teller.fact("other operators", &ports.exchange.to_string())?;
        teller.fact("inner mail store", &format!("{} (LMTP)", ports.inner))?;
        teller.fact("log", &stage.short(&log).to_string())?;
        teller.expect("ready: every port is bound", Ok(()))?;
    }
    let ports = stage.space.ports.c;
    teller.step("The third operator: a Postfix with mutual TLS and no S/MIME")?;
    let log = stage.start_operator().await?.postfix.log();
    teller.fact("other operators", &ports.exchange.to_string())?;
    teller.fact("its own users", &ports.internal.to_string())?;
    teller.fact("log", &stage.short(&log).to_string())?;
    teller.expect("ready: both ports greet", Ok(()))
}

fn title(place: Place) -> String {
    let label = label(place);
    let mut letters = label.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}
