//! The carrier: sockets, and the drivers of `sip` and `rtp`.
