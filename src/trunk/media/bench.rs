//! What the engine costs and how evenly it sends, measured on this machine.
//!
//! Two engines in one process talk over the loopback: one is measured, the other is the far end of
//! every call. Both send and receive 50 packets a second in each call; each far end presses keys.
//! Spacing is taken where packets arrive, from the kernel's time stamps. Of the processor time only
//! that of the measured engine's threads counts; on the loopback that includes the kernel's work
//! of delivering what they send.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::audio::g711;
use crate::audio::tone::Tone;
use crate::base::Codec;
use crate::base::Digit;
use crate::call::clip::Clip;
use crate::call::media::Direction;
use crate::call::media::Hints;
use crate::rtp::Spacing;
use crate::trunk::media::Config;
use crate::trunk::media::Engine;
use crate::trunk::media::MediaEvent;
use crate::trunk::media::Port;
use crate::trunk::media::Stream;
use crate::trunk::media::StreamConfig;
use crate::trunk::media::allow_open_files;
use crate::trunk::media::default_threads;

/// The keys that each far end presses, half a second apart as people do.
const KEYS_EVERY: Duration = Duration::from_secs(2);

/// Gaps beyond this are heard.
const AUDIBLE_GAP: Duration = Duration::from_millis(60);

/// What was measured; `Display` prints it as a table.
#[derive(Clone, Debug)]
pub struct Report {
    /// Calls at once.
    pub calls: usize,
    /// How long.
    pub elapsed: Duration,
    /// Threads of the measured engine.
    pub threads: usize,
    /// Processor time of the measured engine.
    pub cpu: Duration,
    /// Packets that the measured engine sent.
    pub sent: u64,
    /// Packets that the operating system did not take.
    pub unsent: u64,
    /// Packets that arrived at the far ends.
    pub arrived: u64,
    /// Packets that did not, told by their numbers.
    pub lost: u64,
    /// Packets of the far ends that did not arrive at the measured engine.
    pub lost_inbound: u64,
    /// Keys that the far ends pressed.
    pub keys_pressed: u64,
    /// Keys that the measured engine told.
    pub keys_heard: u64,
    /// The time between arrivals at the far ends.
    pub spacing: Spacing,
}

impl Report {
    /// Processor seconds for one call of one minute.
    pub fn cpu_per_call_minute(&self) -> f64 {
        let calls = u32::try_from(self.calls.max(1)).unwrap_or(u32::MAX);
        let call_minutes = f64::from(calls) * self.elapsed.as_secs_f64() / 60.0;
        self.cpu.as_secs_f64() / call_minutes.max(f64::MIN_POSITIVE)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let seconds = self.elapsed.as_secs_f64();
        writeln!(f, "calls at once          {} for {seconds:.0} s", self.calls)?;
        let of_a_core = 100.0 * self.cpu.as_secs_f64() / seconds;
        writeln!(f, "threads                {} ({of_a_core:.0} % of one core)", self.threads)?;
        writeln!(f, "CPU per call-minute    {:.4} s", self.cpu_per_call_minute())?;
        let [p50, p99] = [0.5, 0.99].map(|share| ms(self.spacing.quantile(share)));
        let max = ms(self.spacing.max);
        writeln!(f, "packet spacing         p50 {p50:.2}, p99 {p99:.2}, max {max:.2} ms")?;
        let audible = 100.0 * self.spacing.share_above(AUDIBLE_GAP);
        writeln!(f, "gaps above 60 ms       {audible:.4} %")?;
        writeln!(f, "packets sent           {} ({} refused)", self.sent, self.unsent)?;
        writeln!(f, "packets arrived        {} ({} lost)", self.arrived, self.lost)?;
        writeln!(f, "lost the other way     {}", self.lost_inbound)?;
        write!(f, "keys                   {} pressed, {} heard", self.keys_pressed, self.keys_heard)
    }
}

/// Holds `calls` calls for some seconds. Blocks.
pub fn run(calls: usize, seconds: u32) -> io::Result<Report> {
    // Four sockets a call, and some for everything else.
    allow_open_files(u64::try_from(calls).unwrap_or(u64::MAX).saturating_mul(4) + 100)?;
    let threads = default_threads();
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let ours = Engine::start(&Config { threads, ports: 10_000..=20_999 })?;
    let theirs = Engine::start(&Config { threads, ports: 21_000..=31_999 })?;
    let ports: Vec<(Port, Port)> = (0..calls)
        .map(|_| Ok((ours.open(local)?, theirs.open(local)?)))
        .collect::<io::Result<_>>()?;

    let clip = tone();
    let keys_heard = Arc::new(AtomicU64::new(0));
    let pairs: Vec<(Stream, Stream)> = ports
        .into_iter()
        .map(|(near, far)| {
            let to_far = towards(&far, Hints::On);
            let to_near = towards(&near, Hints::Off);
            let heard = Arc::clone(&keys_heard);
            let near = near.start(to_far, move |event| {
                if matches!(event, MediaEvent::Digit(_)) {
                    heard.fetch_add(1, Ordering::Relaxed);
                }
            });
            (near, far.start(to_near, |_| {}))
        })
        .collect();
    let n_repetitions = usize::try_from(seconds).unwrap_or(usize::MAX).saturating_add(1);
    for (near, far) in &pairs {
        near.play(vec![Arc::clone(&clip); n_repetitions]);
        far.play(vec![Arc::clone(&clip); n_repetitions]);
    }

    let (started_at, cpu_before) = (now(), ours.cpu_time());
    let until = started_at + Duration::from_secs(u64::from(seconds));
    let mut keys_pressed = 0;
    while now() < until {
        // No key at the very end, which might be cut off.
        if now() + KEYS_EVERY / 2 < until {
            for (_, far) in &pairs {
                far.press(&[Digit::Number(3), Digit::Number(3)]);
                keys_pressed += 2;
            }
        }
        std::thread::sleep(KEYS_EVERY.min(until.saturating_duration_since(now())));
    }
    let (cpu, elapsed) = (ours.cpu_time().saturating_sub(cpu_before), now() - started_at);

    let mut report = Report {
        calls,
        elapsed,
        threads,
        cpu,
        sent: 0,
        unsent: 0,
        arrived: 0,
        lost: 0,
        lost_inbound: 0,
        keys_pressed,
        keys_heard: 0,
        spacing: Spacing::default(),
    };
    for (near, far) in pairs {
        let near = near.close_blocking();
        let far = far.close_blocking();
        report.sent += u64::from(near.sent);
        report.unsent += u64::from(near.unsent);
        report.lost_inbound += u64::from(near.lost);
        report.arrived += u64::from(far.received);
        report.lost += u64::from(far.lost);
        report.spacing.merge(&far.spacing_received);
    }
    report.keys_heard = keys_heard.load(Ordering::Relaxed);
    Ok(report)
}

fn towards(port: &Port, hints: Hints) -> StreamConfig {
    StreamConfig {
        remote: port.local_rtp,
        remote_rtcp: port.local_rtcp,
        networks: Vec::new(),
        codec: Codec::Pcmu,
        payload_type: 0,
        telephone_event: Some(101),
        our_telephone_event: None,
        direction: Direction::Both,
        lead_in: Duration::ZERO,
        starvation: Duration::from_mins(1),
        hints,
        name: "bench".to_owned(),
    }
}

/// One second of sound.
fn tone() -> Arc<Clip> {
    let samples = Tone::PROGRESS.samples(Duration::from_secs(1));
    Arc::new(Clip {
        label: "bench".to_owned(),
        pcmu: g711::encode_mulaw(&samples).into(),
        pcma: g711::encode_alaw(&samples).into(),
    })
}

#[expect(clippy::disallowed_methods, reason = "a measurement is made with the real clock")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_packet_of_a_small_run_is_counted() {
        let report = run(3, 2).unwrap();
        assert_eq!((report.lost, report.lost_inbound, report.unsent), (0, 0, 0), "{report}");
        assert_eq!((report.keys_pressed, report.keys_heard), (6, 6), "{report}");
        assert!(report.arrived > 0 && report.cpu > Duration::ZERO, "{report}");
    }
}
