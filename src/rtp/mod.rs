//! RTP, RTCP and telephone events (RFC 3550, 3551, 4733) as machines without sockets.
