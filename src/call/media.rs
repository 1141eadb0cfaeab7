//! What is played to and heard from one call, in ticks of 20 ms.
