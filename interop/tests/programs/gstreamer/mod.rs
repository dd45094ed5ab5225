//! GStreamer's `dtlsenc` and `dtlsdec`: data in records, and keys for SRTP (`use_srtp`, RFC 5764).
//! That the keys are the same at both ends is seen by a second pipeline, which is given those that
//! our end has exported and understands what the first one has sealed, both ways.

mod switch;

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use sealgram::{HandshakeKind, Side, SrtpProfile};
use sealgram_interop::algorithm::KeyType;
use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::{Failure, Outcome};
use sealgram_interop::port::next_free_port;
use sealgram_interop::process::Process;

use self::switch::Switch;
use crate::cell::{self, Cell, Surroundings, expect, with_evidence};
use crate::ours::{End, Handshake, Settings, Transport, Version};

#[test]
fn gstreamer_and_we_agree_on_keys() {
    let mut cells = Vec::new();
    for (side, role) in [(Side::Client, "client"), (Side::Server, "server")] {
        cells.push(Cell::new(
            format!("dtlsenc and dtlsdec as {role}, DTLS 1.2, mutual, data"),
            move |it| data(it, side),
        ));
        cells.push(Cell::new(
            format!("dtlssrtpenc and dtlssrtpdec as {role}, DTLS 1.2, mutual, SRTP"),
            move |it| srtp(it, side),
        ));
        cells.push(Cell::empty(
            format!("dtlsenc and dtlsdec as {role}, DTLS 1.3"),
            "the OpenSSL below them has no DTLS 1.3",
            move |it| no_version_13(it, side),
        ));
    }
    cell::run("GStreamer", &cells);
}

/// Our end and the switch between it and a pipeline on this side.
fn ours(it: &Surroundings<'_>, side: Side, version: Version, to: u16) -> Outcome<(End, Switch)> {
    let mut settings = Settings::new(it.pki, version).mutual();
    settings.srtp = true;
    match side {
        Side::Client => {
            let end = End::server(Transport::Dtls, &settings)?;
            let switch = Switch::start(to, Some(end.address()))?;
            Ok((end, switch))
        }
        Side::Server => {
            let switch = Switch::start(to, None)?;
            let end = End::client(Transport::Dtls, &settings, switch.far())?;
            Ok((end, switch))
        }
    }
}

/// What comes from standard input is sealed, what is opened goes to standard output.
fn data(it: &Surroundings<'_>, side: Side) -> Outcome<String> {
    let receives = next_free_port()?;
    let (mut pipeline, end, _switch) = start_data(it, side, Version::V1_2, receives)?;
    let outcome = (|| {
        let handshake = end.handshake(0, it.deadline)?;
        handshake.mutual()?;
        keys(&handshake)?;
        for line in [b"hello\n".as_slice(), b"is anybody there?\n"] {
            // It ends if it is given something before it knows that the handshake is complete.
            end.send(0, line);
            pipeline.wait_for("what was sent", it.deadline, |transcript| {
                transcript.stdout.ends_with(line).then_some(())
            })?;
            pipeline.write(line)?;
            let (_, received) = end.receive(it.deadline)?;
            expect("what came", received.as_slice(), line)?;
        }
        Ok(handshake.remark())
    })();
    with_evidence(outcome, &[&end], &[&pipeline])
}

fn start_data(
    it: &Surroundings<'_>,
    side: Side,
    version: Version,
    receives: u16,
) -> Outcome<(Process, End, Switch)> {
    let credential = pem(it, side)?;
    let is_client = side == Side::Client;
    let start = |sends: u16| {
        launch(
            it,
            &[
                &format!("udpsrc address=127.0.0.1 port={receives}"),
                &format!("! dtlsdec connection-id=one {credential}"),
                "! fdsink fd=1 sync=false async=false",
                "fdsrc fd=0",
                &format!("! dtlsenc connection-id=one is-client={is_client}"),
                &format!("! udpsink host=127.0.0.1 port={sends} sync=false async=false"),
            ],
        )
    };
    begin(it, side, version, receives, start)
}

/// Whoever waits for a hello is there first.
fn begin(
    it: &Surroundings<'_>,
    side: Side,
    version: Version,
    receives: u16,
    start: impl Fn(u16) -> Outcome<Process>,
) -> Outcome<(Process, End, Switch)> {
    let (end, switch) = ours(it, side, version, receives)?;
    let pipeline = start(switch.near())?;
    Ok((pipeline, end, switch))
}

fn srtp(it: &Surroundings<'_>, side: Side) -> Outcome<String> {
    let [plain_in, receives, sealed_in, second_in] = ports()?;
    let (plain_out, second_out) = (receiver(it)?, receiver(it)?);
    let credential = pem(it, side)?;
    let is_client = side == Side::Client;
    let (plain, second) = (
        plain_out.local_addr()?.port(),
        second_out.local_addr()?.port(),
    );
    let start = |sends: u16| {
        launch(
            it,
            &[
                &format!("udpsrc address=127.0.0.1 port={receives}"),
                &format!("! dtlssrtpdec name=dec connection-id=two {credential}"),
                &format!(
                    "dec.rtp_src ! udpsink host=127.0.0.1 port={plain} sync=false async=false"
                ),
                &format!("udpsrc address=127.0.0.1 port={plain_in} caps={RTP}"),
                "! enc.rtp_sink_0",
                &format!("dtlssrtpenc name=enc connection-id=two is-client={is_client}"),
                &format!("enc.src ! udpsink host=127.0.0.1 port={sends} sync=false async=false"),
            ],
        )
    };
    let (pipeline, end, switch) = begin(it, side, Version::V1_2, receives, start)?;
    let outcome = (|| {
        let handshake = end.handshake(0, it.deadline)?;
        handshake.mutual()?;
        let (client, server) = keys(&handshake)?;
        let (theirs, ours) = if is_client {
            (client, server)
        } else {
            (server, client)
        };
        switch.others_to(sealed_in);
        let checker = launch(
            it,
            &[
                &format!("udpsrc address=127.0.0.1 port={sealed_in} caps={SRTP}{theirs}"),
                &format!("! srtpdec ! udpsink host=127.0.0.1 port={second} sync=false async=false"),
                &format!("udpsrc address=127.0.0.1 port={second_in} caps={RTP}"),
                &format!("! srtpenc key={ours} rtp-cipher=aes-128-icm rtp-auth=hmac-sha1-80"),
                &format!("! udpsink host=127.0.0.1 port={receives} sync=false async=false"),
            ],
        )?;
        let outcome = (|| {
            packets(plain_in, &second_out, it.deadline)
                .map_err(|failure| failure.during("what they have sealed"))?;
            packets(second_in, &plain_out, it.deadline)
                .map_err(|failure| failure.during("what our keys have sealed"))
        })();
        with_evidence(outcome, &[], &[&checker])?;
        Ok(format!(
            "{}, SRTP_AES128_CM_HMAC_SHA1_80",
            handshake.remark()
        ))
    })();
    with_evidence(outcome, &[&end], &[&pipeline])
}

/// Packets of RTP are repeated until one has arrived: whoever is to seal or to open them may not
/// yet be there.
fn packets(to: u16, arrives: &UdpSocket, deadline: Deadline) -> Outcome<()> {
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    arrives.set_read_timeout(Some(MOMENT))?;
    let mut buffer = [0; 2048];
    for number in 0..=u16::MAX {
        if deadline.has_passed() {
            break;
        }
        let mut packet = vec![0x80, 0];
        packet.extend(number.to_be_bytes());
        packet.extend((u32::from(number) * 160).to_be_bytes());
        packet.extend(SOURCE.to_be_bytes());
        packet.extend(format!("what is said in packet {number}").as_bytes());
        sender.send_to(&packet, ("127.0.0.1", to))?;
        if let Ok(length) = arrives.recv(&mut buffer) {
            let said = String::from_utf8_lossy(&buffer[12..length]).into_owned();
            return expect(
                "a packet",
                said.starts_with("what is said in packet "),
                true,
            );
        }
    }
    Err(Failure::new("no packet has arrived"))
}

fn no_version_13(it: &Surroundings<'_>, side: Side) -> Outcome<()> {
    let receives = next_free_port()?;
    let (pipeline, end, _switch) = start_data(it, side, Version::V1_3, receives)?;
    let refused = match side {
        Side::Client => end.remark("no protocol version", it.deadline),
        // It ends without an alert.
        Side::Server => pipeline.wait_for("its complaint", it.deadline, |transcript| {
            let said = String::from_utf8_lossy(&transcript.stderr);
            said.contains("Fatal SSL error").then_some(())
        }),
    };
    with_evidence(refused, &[&end], &[&pipeline])
}

/// Key and salt of the client and of the server, as hexadecimal digits (RFC 5764 §4.2).
fn keys(handshake: &Handshake) -> Outcome<(String, String)> {
    expect("the kind", handshake.kind, HandshakeKind::Full)?;
    let Some((profile, keys)) = &handshake.srtp else {
        return Err(Failure::new("no protection profile was agreed on"));
    };
    let wanted = SrtpProfile::SRTP_AES128_CM_HMAC_SHA1_80;
    expect("the profile", *profile, wanted)?;
    let hexadecimal = |key: &[u8], salt: &[u8]| {
        let bytes = key.iter().chain(salt);
        bytes.map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let client = hexadecimal(&keys[..16], &keys[32..46]);
    let server = hexadecimal(&keys[16..32], &keys[46..]);
    Ok((client, server))
}

/// Starts a pipeline, of words that are separated by spaces.
fn launch(it: &Surroundings<'_>, parts: &[&str]) -> Outcome<Process> {
    let mut command = Command::new("gst-launch-1.0");
    command.arg("--quiet");
    // Not that of the user; the search through all plugins takes seconds.
    command.env("GST_REGISTRY", it.pki.path_of("all pipelines", "registry"));
    for part in parts {
        command.args(part.split(' ').map(|word| word.replace(SPACE, " ")));
    }
    it.start(command)
}

/// The property by which `dtlsdec` gets a certificate and its key.
fn pem(it: &Surroundings<'_>, side: Side) -> Outcome<String> {
    let credential = match side {
        Side::Client => it.pki.client(KeyType::EcdsaP256),
        Side::Server => it.pki.server(KeyType::EcdsaP256),
    };
    let certificate = fs::read_to_string(credential.certificate)?;
    let key = fs::read_to_string(credential.key)?;
    Ok(format!("pem=\"{certificate}{key}\"").replace(' ', SPACE))
}

fn ports() -> Outcome<[u16; 4]> {
    Ok([
        next_free_port()?,
        next_free_port()?,
        next_free_port()?,
        next_free_port()?,
    ])
}

fn receiver(it: &Surroundings<'_>) -> Outcome<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(it.deadline.remaining()))?;
    Ok(socket)
}

/// Stands for a space inside a word.
const SPACE: &str = "\u{a0}";

/// The source of our packets of RTP.
const SOURCE: u32 = 0x0005_ea15;

const RTP: &str = "application/x-rtp,media=audio,clock-rate=8000,encoding-name=PCMU,payload=0";

/// To be followed by the key.
const SRTP: &str = "application/x-srtp,media=audio,clock-rate=8000,encoding-name=PCMU,payload=0,\
                    srtp-cipher=aes-128-icm,srtp-auth=hmac-sha1-80,srtcp-cipher=aes-128-icm,\
                    srtcp-auth=hmac-sha1-80,ssrc=(uint)387605,srtp-key=(buffer)";

/// Between two packets.
const MOMENT: Duration = Duration::from_millis(20);
