//! A TCP line to a server, which can be cut without a word to either end.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// A line from a free port to a server. It ends with this value.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    through: watch::Sender<bool>,
    /// Counts the times at which all connections were ended.
    hung_up: watch::Sender<u64>,
    listening: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Line {
    /// A line to `target`, as host and port.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn to(target: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (through, hung_up) = (watch::Sender::new(true), watch::Sender::new(0));
        let (cut, ended) = (through.subscribe(), hung_up.subscribe());
        let target: Arc<str> = target.into();
        let listening = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, Arc::clone(&target), cut.clone(), ended.clone()));
            }
        });
        Self { address, through, hung_up, listening }
    }

    /// The near end, as `TEMPORAL_ADDRESS` wants it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Nothing gets through from now on, in neither direction. All connections stay open.
    pub fn cut(&self) {
        self.through.send_replace(false);
    }

    /// What was on its way, and what comes, gets through.
    pub fn mend(&self) {
        self.through.send_replace(true);
    }

    /// Ends all connections. New ones can be made.
    pub fn hang_up(&self) {
        self.hung_up.send_modify(|count| *count += 1);
    }
}

/// Carries one connection until an end closes it or the line hangs up.
async fn carry(
    near: TcpStream,
    target: Arc<str>,
    cut: watch::Receiver<bool>,
    mut ended: watch::Receiver<u64>,
) {
    ended.mark_unchanged();
    let both = async {
        let far = TcpStream::connect(&*target).await?;
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        tokio::try_join!(one_way(near_in, far_out, cut.clone()), one_way(far_in, near_out, cut))
    };
    tokio::select! {
        // An end that closed or failed: the other one notices when both sockets go.
        _ = both => {}
        _ = ended.changed() => {}
    }
}

async fn one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut cut: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        cut.wait_for(|through| *through).await.map_err(io::Error::other)?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(buffer.get(..count).unwrap_or_default()).await?;
    }
}
