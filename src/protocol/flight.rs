//! Words that the handshake engine and the record layers share about flights and key switches.

/// Names a flight of handshake messages within one association.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct FlightId(pub(crate) u32);

/// What ends a flight, and so who is responsible for repeating it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FlightEnd {
    /// The peer must answer: a timer repeats the flight until the engine goes on (RFC 6347 §4.2.4).
    AwaitReply,
    /// Nothing follows: the flight is repeated only when the peer repeats its own last one (RFC 6347 §4.2.4).
    Final,
    /// The peer must acknowledge: a timer repeats what it has not acknowledged (RFC 9147 §7). Several such flights may be
    /// on their way.
    AwaitAck(Unacknowledged),
    /// A HelloRequest: a timer repeats it until a ClientHello comes, and then it leads the flight that answers that one,
    /// because it took the first message_seq (RFC 6347 §4.2.2). Also a hello that a renegotiation has asked for once more: what
    /// comes next may have been sent before it arrived, so it is repeated with the client's next flight.
    Request,
}

/// What becomes of a flight that nobody acknowledges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unacknowledged {
    /// The association has failed: its handshake is not complete at the other end.
    Fails,
    /// It is given up quietly: the peer can do without.
    Forgets,
    /// It is repeated for as long as the association lives.
    Persists,
}

/// When newly installed read keys begin to count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReadSwitch {
    /// At the peer's ChangeCipherSpec. Over datagrams the epoch in each record says the same thing.
    OnChangeCipherSpec,
    /// At once: at 1.3 the next record is protected with them.
    Now,
    /// When they are installed once more. Until then a fatal alert under them is believed, and nothing else is read. On a
    /// stream nothing can overtake the switch, so there is nothing to do.
    OnlyAlerts,
}
