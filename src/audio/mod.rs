//! Sound at 8 kHz: G.711, levels, tones, WAV.
