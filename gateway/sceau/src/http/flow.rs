//! Answers on their way: octets that are lent until the client has read them.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use crate::net::{crowd::Busy, octets::Loan};

/// What the connection is given at once. It copies that: the whole is ours until the last part is taken.
const PART: usize = 16 * 1024;

/// An answer on its way: given out in parts, so that what is held is known until the client has read nearly all of it.
#[derive(Debug)]
pub(super) struct Answer {
    rest: Bytes,
    _loan: Loan,
    _busy: Option<Busy>,
}

impl Answer {
    pub(super) fn new(body: Vec<u8>, loan: Loan) -> Self {
        Self { rest: Bytes::from(body), _loan: loan, _busy: None }
    }

    /// The same, for which the connection stays until the last part is taken.
    pub(super) fn with(self, busy: Busy) -> Self {
        Self { _busy: Some(busy), ..self }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.rest.len().min(PART);
        let part = self.rest.split_to(part);
        Poll::Ready((!part.is_empty()).then(|| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt as _;

    use super::*;
    use crate::net::octets::Octets;

    /// A runtime that only polls.
    fn block<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    #[test]
    fn an_answer_keeps_its_loan_until_its_last_part_is_taken() {
        let (octets, peer) = (Arc::new(Octets::default()), std::net::IpAddr::from([127, 0, 0, 1]));
        let loan = octets.take(peer, 100_000, 16 << 20).unwrap();
        let mut answer = Answer::new(vec![7; 100_000], loan);
        assert_eq!(answer.size_hint().exact(), Some(100_000));
        let mut read = 0;
        while let Some(part) = block(answer.frame()) {
            let part = part.unwrap().into_data().unwrap();
            assert!(part.len() <= PART && part.iter().all(|it| *it == 7));
            read += part.len();
            assert_eq!(octets.all(), 100_000);
        }
        assert_eq!((read, answer.is_end_stream()), (100_000, true));
        drop(answer);
        assert_eq!(octets.all(), 0);
    }
}
