//! What the handshake engine tells the record layers about flights and changes of keys.

/// Names a flight of handshake messages within one association.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct FlightId(pub(crate) u32);

/// What follows a flight, and so who is responsible for repeating it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FlightEnd {
    /// The peer must answer: a timer repeats the flight until the handshake proceeds
    /// (RFC 6347 §4.2.4).
    AwaitReply,
    /// Nothing follows: the flight is repeated only when the peer repeats its own last one
    /// (RFC 6347 §4.2.4).
    Final,
    /// The peer must acknowledge: a timer repeats what it has not acknowledged (RFC 9147 §7).
    /// Several such flights may be under way at once.
    AwaitAck(Unacknowledged),
    /// A HelloRequest: a timer repeats it until a ClientHello comes. After that it is the first
    /// message of the flight that answers the ClientHello, because it has the first message_seq
    /// (RFC 6347 §4.2.2). The same holds for a hello that a client repeats in a renegotiation: the
    /// peer's next message may have been sent before the hello arrived, so the hello is repeated
    /// with the client's next flight.
    Request,
}

/// What becomes of a flight that the peer never acknowledges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unacknowledged {
    /// The association fails: the handshake is not complete at the other end.
    Fails,
    /// It is given up quietly: the peer can do without it.
    Forgets,
    /// It is repeated for as long as the association lives.
    Persists,
}

/// When newly installed read keys come into use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReadSwitch {
    /// At the peer's ChangeCipherSpec. Over datagrams the epoch in each record says the same.
    OnChangeCipherSpec,
    /// At once: at 1.3 the peer's next record is protected with them.
    Now,
    /// When they are installed a second time. Until then a fatal alert under them is believed, and
    /// nothing else is read. On a stream nothing can overtake the switch, so there is nothing to
    /// do.
    OnlyAlerts,
}
