//! A TCP line to a server, which can be cut without a word to either end.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{self, AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
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

    /// Nothing gets through from now on. The far end sees its connections end, as a server does
    /// whose keepalives are not answered; the near end sees nothing but silence.
    pub fn cut(&self) {
        self.through.send_replace(false);
    }

    /// New connections get through again; those that were cut end.
    pub fn mend(&self) {
        self.through.send_replace(true);
    }

    /// Ends all connections. New ones can be made.
    pub fn hang_up(&self) {
        self.hung_up.send_modify(|count| *count += 1);
    }
}

/// Carries one connection until an end closes it or the line hangs up or is cut and mended.
async fn carry(
    mut near: TcpStream,
    target: Arc<str>,
    mut through: watch::Receiver<bool>,
    mut ended: watch::Receiver<u64>,
) {
    ended.mark_unchanged();
    let both = async {
        let far = TcpStream::connect(&*target).await?;
        let ((near_in, near_out), (far_in, far_out)) = (near.split(), far.into_split());
        tokio::try_join!(one_way(near_in, far_out), one_way(far_in, near_out))
    };
    let cut = tokio::select! {
        // An end that closed or failed: the other one notices when both sockets go.
        _ = both => false,
        _ = ended.changed() => false,
        silent = through.wait_for(|through| !through) => silent.is_ok(),
    };
    if cut {
        tokio::select! {
            _ = through.wait_for(|through| *through) => {}
            _ = ended.changed() => {}
        }
    }
    drop(near);
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}
