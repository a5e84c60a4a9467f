//! One message on its way: which commands are in flight, and what became of each recipient.

use std::collections::VecDeque;

use super::outcome::{Cause, Extension, Outcome, RecipientOutcome, Refusal, Stage, refusal};
use crate::{
    BodyFault, BodyKind, Capabilities, DataWriter, Envelope, Protocol, Reply,
    parameters::{write_mail, write_rcpt},
};

/// What the session has to do after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// The peer waits for the body.
    Body,
    /// All is decided.
    Nothing,
}

/// A command whose reply is due, or the next one to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Reset,
    Mail,
    Recipient(usize),
    Data,
    /// The final reply: of everybody (SMTP), or of this recipient (LMTP).
    Final(Option<usize>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// RCPT was not answered yet, or not even sent.
    Open,
    /// RCPT was answered 2xx.
    Accepted,
    Decided(Outcome),
}

#[derive(Debug)]
pub(super) struct Transaction {
    envelope: Envelope,
    states: Vec<State>,
    protocol: Protocol,
    in_flight: VecDeque<Step>,
    /// The next command to write; `None` when all were.
    next: Option<Step>,
    writer: Option<DataWriter>,
    mail_accepted: bool,
    /// The peer accepted the message for somebody, which ends its transaction.
    delivered: bool,
}

impl Transaction {
    /// Decides at once what this peer cannot take.
    pub(super) fn new(mut envelope: Envelope, server: &Capabilities, protocol: Protocol, reset: bool) -> Self {
        let mut states = vec![State::Open; envelope.recipients.len()];
        let needs = |extension| Cause::NotOffered(extension);
        if let Some(cause) = whole_message_fault(&envelope, server) {
            let outcome = Outcome::Permanent(Refusal { stage: Stage::Mail, cause });
            states.fill(State::Decided(outcome));
        }
        for (state, rcpt) in states.iter_mut().zip(&envelope.recipients) {
            if *state == State::Open && rcpt.address.needs_smtputf8() {
                if server.smtputf8 {
                    envelope.mail.smtputf8 = true;
                } else {
                    let cause = needs(Extension::SmtpUtf8);
                    *state = State::Decided(Outcome::Permanent(Refusal { stage: Stage::Recipient, cause }));
                }
            }
        }
        envelope.mail.smtputf8 |= envelope.mail.sender.as_ref().is_some_and(ident::Address::needs_smtputf8);
        Self {
            envelope,
            states,
            protocol,
            in_flight: VecDeque::new(),
            next: Some(if reset { Step::Reset } else { Step::Mail }),
            writer: None,
            mail_accepted: false,
            delivered: false,
        }
    }

    pub(super) fn is_decided(&self) -> bool {
        self.states.iter().all(|state| matches!(state, State::Decided(_)))
    }

    /// No command is in flight.
    pub(super) fn awaits_nothing(&self) -> bool {
        self.in_flight.is_empty()
    }

    fn is_accepted_by_any(&self) -> bool {
        self.states.contains(&State::Accepted)
    }

    /// RSET is needed before the next MAIL.
    pub(super) const fn leaves_open(&self) -> bool {
        self.mail_accepted && !self.delivered
    }

    pub(super) const fn writer(&mut self) -> Option<&mut DataWriter> {
        self.writer.as_mut()
    }

    pub(super) fn stage(&self) -> Stage {
        if self.writer.is_some() {
            return Stage::Body;
        }
        match self.in_flight.front().copied().or(self.next) {
            Some(Step::Reset | Step::Mail) => Stage::Mail,
            Some(Step::Recipient(_)) => Stage::Recipient,
            Some(Step::Data) => Stage::Data,
            Some(Step::Final(_)) | None => Stage::Final,
        }
    }

    // --- writing ---

    /// Writes the next command if it may be in flight now. False: wait for replies.
    pub(super) fn write_next(&mut self, window: usize, server: &Capabilities, out: &mut Vec<u8>) -> bool {
        let Some(step) = self.next.filter(|_| self.in_flight.len() < window) else { return false };
        match step {
            Step::Reset => {
                out.extend_from_slice(b"RSET\r\n");
                self.next = Some(Step::Mail);
            }
            Step::Mail => {
                out.extend_from_slice(write_mail(&self.envelope.mail, server).as_bytes());
                self.next = self.recipient_from(0);
            }
            Step::Recipient(index) => {
                if let Some(rcpt) = self.envelope.recipients.get(index) {
                    out.extend_from_slice(write_rcpt(rcpt, server).as_bytes());
                }
                self.next = self.recipient_from(index.saturating_add(1));
            }
            Step::Data => {
                // Alone in flight: a peer that answers 354 after refusing everybody would
                // otherwise have to be given an empty message (RFC 2920 §3.1).
                if !self.in_flight.is_empty() {
                    return false;
                }
                out.extend_from_slice(b"DATA\r\n");
                self.next = None;
            }
            Step::Final(_) => return false,
        }
        self.in_flight.push_back(step);
        true
    }

    /// The next recipient that has to be named, or DATA.
    fn recipient_from(&self, from: usize) -> Option<Step> {
        let open = self.states.iter().enumerate().skip(from).find(|(_, state)| **state == State::Open);
        Some(open.map_or(Step::Data, |(index, _)| Step::Recipient(index)))
    }

    /// Ends the body and expects the final reply or replies.
    pub(super) fn finish_body(&mut self, out: &mut Vec<u8>) -> Result<(), BodyFault> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        if let Err(fault) = writer.finish(out) {
            self.writer = Some(DataWriter::new());
            return Err(fault);
        }
        match self.protocol {
            Protocol::Smtp => self.in_flight.push_back(Step::Final(None)),
            Protocol::Lmtp => {
                let accepted = self.states.iter().enumerate().filter(|(_, state)| **state == State::Accepted);
                self.in_flight.extend(accepted.map(|(index, _)| Step::Final(Some(index))));
            }
        }
        Ok(())
    }

    // --- replies ---

    /// One reply; 421 never comes here.
    pub(super) fn on_reply(&mut self, reply: Reply) -> Result<Option<Expected>, Cause> {
        if self.writer.is_some() {
            // Before the final dot only a refusal makes sense, and it leaves the peer in the
            // middle of a body: the session cannot go on.
            if reply.is_temporary() || reply.is_permanent() {
                self.decide_undecided(&refusal(Stage::Body, reply.clone()));
                return Err(Cause::Reply(reply));
            }
            return Err(Cause::Unexpected(reply));
        }
        let Some(step) = self.in_flight.pop_front() else { return Err(Cause::Unsolicited) };
        let sensible = match step {
            Step::Data => reply.code() == 354 || reply.is_temporary() || reply.is_permanent(),
            Step::Reset => reply.is_positive(),
            Step::Mail | Step::Recipient(_) | Step::Final(_) => reply.class() != 3,
        };
        if !sensible {
            // For the stage in the outcome.
            self.in_flight.push_front(step);
            return Err(Cause::Unexpected(reply));
        }
        match step {
            Step::Reset => {}
            Step::Mail if reply.is_positive() => self.mail_accepted = true,
            Step::Mail => {
                self.decide_undecided(&refusal(Stage::Mail, reply));
                self.next = None;
            }
            Step::Recipient(index) => self.on_recipient(index, reply),
            Step::Data if reply.code() == 354 => {
                self.writer = Some(DataWriter::new());
                return Ok(Some(Expected::Body));
            }
            Step::Data => self.decide_undecided(&refusal(Stage::Data, reply)),
            Step::Final(index) => self.on_final(index, reply),
        }
        if self.next == Some(Step::Data) && self.in_flight.is_empty() && !self.is_accepted_by_any() {
            self.next = None;
        }
        let finished = self.next.is_none() && self.in_flight.is_empty();
        Ok(finished.then_some(Expected::Nothing))
    }

    fn on_recipient(&mut self, index: usize, reply: Reply) {
        // After a refused MAIL the replies to pipelined RCPT mean nothing.
        if let Some(state) = self.states.get_mut(index).filter(|state| **state == State::Open) {
            *state =
                if reply.is_positive() { State::Accepted } else { State::Decided(refusal(Stage::Recipient, reply)) };
        }
    }

    fn on_final(&mut self, index: Option<usize>, reply: Reply) {
        self.delivered |= reply.is_positive();
        let outcome = if reply.is_positive() { Outcome::Accepted(reply) } else { refusal(Stage::Final, reply) };
        match index {
            None => self.decide_undecided(&outcome),
            Some(index) => {
                if let Some(state) = self.states.get_mut(index) {
                    *state = State::Decided(outcome);
                }
            }
        }
    }

    fn decide_undecided(&mut self, outcome: &Outcome) {
        for state in &mut self.states {
            if !matches!(state, State::Decided(_)) {
                *state = State::Decided(outcome.clone());
            }
        }
    }

    // --- results ---

    /// The outcomes when the session ended early: whoever is undecided is deferred.
    pub(super) fn into_failed(mut self, refusal: &Refusal) -> Vec<RecipientOutcome> {
        self.decide_undecided(&Outcome::Temporary(refusal.clone()));
        self.into_outcomes()
    }

    pub(super) fn into_outcomes(self) -> Vec<RecipientOutcome> {
        let never_reached = Refusal { stage: Stage::Idle, cause: Cause::Abandoned };
        self.envelope
            .recipients
            .into_iter()
            .zip(self.states)
            .map(|(rcpt, state)| RecipientOutcome {
                recipient: rcpt.address,
                outcome: match state {
                    State::Decided(outcome) => outcome,
                    State::Open | State::Accepted => Outcome::Temporary(never_reached.clone()),
                },
            })
            .collect()
    }
}

/// What no recipient of this server could get.
fn whole_message_fault(envelope: &Envelope, server: &Capabilities) -> Option<Cause> {
    let mail = &envelope.mail;
    let utf8 = mail.smtputf8 || mail.sender.as_ref().is_some_and(ident::Address::needs_smtputf8);
    if utf8 && !server.smtputf8 {
        return Some(Cause::NotOffered(Extension::SmtpUtf8));
    }
    if mail.body == BodyKind::EightBit && !server.eight_bit {
        return Some(Cause::NotOffered(Extension::EightBitMime));
    }
    if mail.require_tls && !server.require_tls {
        return Some(Cause::NotOffered(Extension::RequireTls));
    }
    let limit = server.max_size?;
    mail.size.is_some_and(|size| size > limit).then_some(Cause::TooLarge { limit })
}
