//! The scenes, in order.

mod letter;
mod outcomes;
mod refusals;
mod secretary;
mod sending;
pub(super) mod space;
mod start;
mod trail;

use sending::Sending;

use super::{StoryError, stage::Stage, teller::Teller};

/// Everything after the space is made.
pub(super) async fn all(teller: &mut Teller, stage: &mut Stage) -> Result<(), StoryError> {
    start::tell(teller, stage).await?;
    let first = letter::tell(teller, stage).await?;
    secretary::tell(teller, stage).await?;
    refusals::tell(teller, stage).await?;
    outcomes::tell(teller, stage).await?;
    trail::tell(teller, stage, &first).await
}
