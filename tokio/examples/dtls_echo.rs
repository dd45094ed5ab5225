//! Sends every datagram back to its sender, over DTLS, to any number of clients on one UDP socket.
//!
//! ```sh
//! cargo run -p sealgram-tokio --example dtls_echo -- 127.0.0.1:4433 chain.pem key.pem
//! ```

use sealgram::ServerConfig;
use sealgram::identity::{CertifiedKey, Credential};
use sealgram_tokio::{DtlsListener, DtlsStream};
use std::error::Error;
use std::path::PathBuf;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let local = arguments.next().unwrap_or("127.0.0.1:4433".into());
    let mut file = |default: &str| PathBuf::from(arguments.next().unwrap_or(default.into()));
    let (chain, key) = (file("chain.pem"), file("key.pem"));
    let certified = CertifiedKey::from_pem_files(&chain, &key)?;
    let config = ServerConfig::with_credential(Credential::Certificate(certified)).build()?;

    let mut listener = DtlsListener::bind(local.parse()?, config.into())?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let peer = listener.accept().await?;
        tokio::spawn(async move {
            println!("{peer:?} is here");
            // One peer's failure is no reason to stop serving the others.
            if let Err(error) = echo(&peer).await {
                println!("{peer:?}: {error}");
            }
        });
    }
}

async fn echo(peer: &DtlsStream) -> std::io::Result<()> {
    while let Some(received) = peer.recv().await? {
        peer.send(&received.data).await?;
    }
    Ok(())
}
