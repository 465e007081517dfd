//! Opens the internal plane's doors: a TCP port and two Unix sockets. Sockets are bound under their exact path, 0600,
//! in a folder nobody else can write to; stale files of a killed process are cleared away, live ones are not.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, UnixListener, UnixStream};

use super::settings::Settings;

/// Longest socket path the kernel takes (`sun_path`), with its final NUL.
const MAX_SOCKET_PATH: usize = 107;

/// The open doors, not yet answering.
#[derive(Debug)]
pub struct Listeners {
    pub(super) tcp: Option<TcpListener>,
    pub(super) operator: Socket,
    pub(super) identity: Option<Socket>,
}

/// One Unix socket of ours. Its file goes when it is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    /// Our own user: nobody else but root may speak here, whatever the file's permissions were for a moment.
    pub(super) owner: u32,
    path: PathBuf,
}

/// Why a door could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The TCP address.
    #[error("operator address {address}: {source}")]
    Tcp {
        /// As configured.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process answers on the socket.
    #[error("socket {}: another process is listening on it", path.display())]
    InUse {
        /// The socket's path.
        path: PathBuf,
    },
    /// The path is longer than a socket's may be.
    #[error("socket {}: the path is longer than {MAX_SOCKET_PATH} bytes", path.display())]
    TooLong {
        /// The socket's path.
        path: PathBuf,
    },
    /// Something that is not a socket is in the way.
    #[error("socket {}: a file that is no socket is in the way", path.display())]
    InTheWay {
        /// The socket's path.
        path: PathBuf,
    },
    /// Anything else the system says.
    #[error("socket {}: {source}", path.display())]
    Socket {
        /// The socket's path, or its folder's.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl Listeners {
    /// Opens every door of the settings, or none.
    pub async fn bind(settings: &Settings) -> Result<Self, BindError> {
        let operator = Socket::bind(&settings.operator_socket).await?;
        let identity = match &settings.identity_socket {
            None => None,
            Some(path) => Some(Socket::bind(path).await?),
        };
        let tcp = match settings.address {
            None => None,
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|source| BindError::Tcp { address, source })?,
            ),
        };
        Ok(Self { tcp, operator, identity })
    }

    /// The TCP address in use, with its real port.
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|listener| listener.local_addr().ok())
    }
}

impl Socket {
    async fn bind(path: &Path) -> Result<Self, BindError> {
        if path.as_os_str().len() > MAX_SOCKET_PATH {
            return Err(BindError::TooLong { path: path.to_owned() });
        }
        let wrong = |source| BindError::Socket { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            guard_folder(folder)
                .map_err(|source| BindError::Socket { path: folder.to_owned(), source })?;
        }
        clear(path).await?;
        let listener = UnixListener::bind(path).map_err(wrong)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(wrong)?;
        let owner = fs::metadata(path).map_err(wrong)?.uid();
        Ok(Self { listener, owner, path: path.to_owned() })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A leftover is cleared at the next start anyway.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes a missing folder 0700; takes foreign write permission off an existing one, so that nobody can put a socket of
/// his own under our name.
fn guard_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & 0o022 == 0 {
        return Ok(());
    }
    tracing::warn!(event = "folder_tightened", folder = %folder.display());
    fs::set_permissions(folder, fs::Permissions::from_mode(mode & 0o7777 & !0o022))
}

/// Removes the socket file of a process that is gone.
async fn clear(path: &Path) -> Result<(), BindError> {
    let kind = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(BindError::Socket { path: path.to_owned(), source }),
    };
    if !kind.is_socket() {
        return Err(BindError::InTheWay { path: path.to_owned() });
    }
    if UnixStream::connect(path).await.is_ok() {
        return Err(BindError::InUse { path: path.to_owned() });
    }
    fs::remove_file(path).map_err(|source| BindError::Socket { path: path.to_owned(), source })
}
