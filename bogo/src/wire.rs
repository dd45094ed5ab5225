//! What goes between runner and shim: a byte stream, or packets with commands between them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};

/// The TCP connection to the runner.
pub(crate) struct Wire {
    stream: TcpStream,
}

/// Something that came over a connection of packets.
pub(crate) enum Packet {
    /// A datagram.
    Datagram(Vec<u8>),
    /// This many nanoseconds have passed.
    Elapsed(u64),
    /// The path now carries packets of at most this many bytes.
    Mtu(usize),
    /// The next timeout must be this many nanoseconds away; `None` if there must not be one.
    ExpectTimeout(Option<u64>),
    /// The first timeout is this many milliseconds from now on.
    InitialTimeout(u32),
    /// The runner has closed.
    End,
}

impl Wire {
    /// Connects and says which test this is.
    pub(crate) fn connect(port: u16, ipv6: bool, id: u64) -> io::Result<Self> {
        let host = if ipv6 {
            Ipv6Addr::LOCALHOST.into()
        } else {
            Ipv4Addr::LOCALHOST.into()
        };
        let mut stream = TcpStream::connect(SocketAddr::new(host, port))?;
        stream.set_nodelay(true)?;
        stream.write_all(&id.to_le_bytes())?;
        Ok(Self { stream })
    }

    /// Sends bytes of a stream.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Bytes of a stream, at least one unless it has ended.
    pub(crate) fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 1 << 14];
        let count = self.stream.read(&mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Sends a datagram.
    pub(crate) fn write_datagram(&mut self, datagram: &[u8]) -> io::Result<()> {
        let length = u32::try_from(datagram.len()).map_err(io::Error::other)?;
        let packet = [&[b'P'][..], &length.to_be_bytes(), datagram].concat();
        self.stream.write_all(&packet)
    }

    /// Says that [`Packet::Elapsed`] was read. What it causes may be sent only afterwards.
    pub(crate) fn confirm_elapsed(&mut self) -> io::Result<()> {
        self.stream.write_all(b"t")
    }

    /// The next packet.
    pub(crate) fn read_packet(&mut self) -> io::Result<Packet> {
        let mut opcode = [0];
        if self.stream.read(&mut opcode)? == 0 {
            return Ok(Packet::End);
        }
        Ok(match opcode[0] {
            b'P' => {
                let length = self.u32()?;
                let mut datagram = vec![0; usize::try_from(length).map_err(io::Error::other)?];
                self.stream.read_exact(&mut datagram)?;
                Packet::Datagram(datagram)
            }
            b'T' => Packet::Elapsed(self.u64()?),
            b'M' => Packet::Mtu(usize::try_from(self.u32()?).map_err(io::Error::other)?),
            b'E' => Packet::ExpectTimeout(Some(self.u64()?).filter(|&it| it != u64::MAX)),
            b'U' => Packet::InitialTimeout(self.u32()?),
            other => return Err(io::Error::other(format!("unknown command {other:#x}"))),
        })
    }

    /// Says that nothing follows, and waits until the runner has said so too: its last writes must
    /// not fail.
    pub(crate) fn finish(mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = io::copy(&mut self.stream, &mut io::sink());
    }

    fn u32(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.stream.read_exact(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn u64(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.stream.read_exact(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }
}
