//! Each stack as a program would use it.

#[cfg(feature = "peers")]
pub mod dimpl;
#[cfg(feature = "peers")]
pub mod dimpl_ring;
pub mod in_memory;
#[cfg(feature = "peers")]
pub mod openssl;
pub mod rustls;
pub mod sealgram;
#[cfg(feature = "peers")]
pub mod webrtc;
