//! A measured value over days as a drawing: bands where the rules would fire, gaps where nothing
//! was measured, and a table of the same data beside it.

use jiff::Timestamp;
use jiff::civil::Date;
use maud::{Markup, html};

use crate::base::clock::civil;
use crate::escalation::Priority;
use crate::escalation::rule::{Condition, RuleSet};
use crate::ivr::Answer;
use crate::observation::{Channel, Observation};
use crate::web::auth::Viewer;
use crate::web::console::patient::words;

/// What is drawn.
pub(super) struct Chart<'a> {
    /// Names the drawing for those who do not see it; unique on the page.
    pub(super) id: &'static str,
    /// The question.
    pub(super) code: &'static str,
    /// Every observation that holds, the oldest first; those of other questions are left out.
    pub(super) observations: Vec<&'a Observation>,
    /// The first and the last day.
    pub(super) days: (Date, Date),
    /// The lowest and highest number of the scale, at least.
    pub(super) scale: (i32, i32),
    /// How many of the stored unit are between two lines.
    pub(super) step: i32,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 30.0;

/// Longer without a value is a gap: nobody knows what was in between.
const GAP: std::time::Duration = std::time::Duration::from_hours(24);

/// A range in which a rule fires.
struct Band {
    low: i32,
    /// The last number with which the rule fires.
    last: i32,
    /// Up to where it is drawn.
    high: i32,
    priority: Priority,
}

impl Chart<'_> {
    /// The drawing, its legend and its table.
    pub(super) fn draw(&self, viewer: &Viewer, rules: Option<&RuleSet>) -> Markup {
        let bands = rules.map(|rules| bands(rules, self.code)).unwrap_or_default();
        let name = words::question(viewer, self.code);
        let mine = self.observations.iter().filter(|one| one.code == self.code);
        let (measured, missed): (Vec<&Observation>, Vec<&Observation>) =
            mine.copied().partition(|one| matches!(one.value, Answer::Number(_)));
        let scale = self.scale_for(&measured);
        let title = format!("{}-title", self.id);
        html! {
            figure.chart {
                figcaption #(title) { (name) " — " (self.summary(viewer, &measured)) }
                div.scroll tabindex="0" role="group" aria-labelledby=(title) {
                    svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-labelledby=(title) {
                        @for band in &bands { (self.band(viewer, scale, band)) }
                        (self.lines(scale))
                        (self.day_lines())
                        @for run in runs(&measured, &missed) {
                            @if run.len() > 1 { polyline.curve points=(self.polyline(scale, run)) {} }
                        }
                        @for one in &missed { (self.missed(one.effective_at)) }
                        @for one in &measured { (self.point(viewer, scale, one)) }
                    }
                }
                @if measured.is_empty() && missed.is_empty() {
                    p.muted { (viewer.say("この期間の測定はありません。", "Nothing was measured in these days.")) }
                } @else {
                    (self.table(viewer, &measured, &missed))
                }
            }
        }
    }

    fn scale_for(&self, measured: &[&Observation]) -> (i32, i32) {
        let numbers = || measured.iter().filter_map(|one| number(one));
        let low = numbers().min().map_or(self.scale.0, |low| low.min(self.scale.0));
        let high = numbers().max().map_or(self.scale.1, |high| high.max(self.scale.1));
        (low, high)
    }

    fn summary(&self, viewer: &Viewer, measured: &[&Observation]) -> String {
        let Some(last) = measured.last() else {
            return viewer.say("測定なし", "nothing measured").to_owned();
        };
        let value = words::answer(viewer, self.code, last.value);
        let at = civil(last.effective_at).strftime("%m/%d %H:%M");
        viewer.say(&format!("最新 {value}({at})"), &format!("latest {value} ({at})")).to_owned()
    }

    fn x(&self, at: Timestamp) -> f64 {
        let first =
            crate::base::clock::timestamp(self.days.0.to_datetime(jiff::civil::Time::midnight()));
        let hours = at.duration_since(first).as_secs_f64() / 3600.0;
        LEFT + (WIDTH - LEFT - RIGHT) * hours / (24.0 * self.n_days())
    }

    fn n_days(&self) -> f64 {
        let days = self.days.0.until(self.days.1).map_or(0, |span| span.get_days());
        f64::from(days + 1)
    }

    #[expect(clippy::unused_self, reason = "the other axis has the same form")]
    fn y(&self, (low, high): (i32, i32), number: i32) -> f64 {
        let share = f64::from(number - low) / f64::from(high - low);
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - share)
    }

    fn band(&self, viewer: &Viewer, scale: (i32, i32), band: &Band) -> Markup {
        let (low, high) = (band.low.max(scale.0), band.high.min(scale.1));
        if low >= high {
            return html! {};
        }
        let (top, bottom) = (self.y(scale, high), self.y(scale, low));
        let (class, word) = match band.priority {
            Priority::P1 => ("band-act", viewer.say("緊急", "Urgent")),
            Priority::P2 => ("band-caution", viewer.say("注意", "Caution")),
            Priority::P3 | Priority::P0 => ("band-check", viewer.say("要確認", "To check")),
        };
        html! {
            rect class=(class) x=(px(LEFT)) y=(px(top)) width=(px(WIDTH - LEFT - RIGHT))
                height=(px(bottom - top)) {}
            text.band-name x=(px(WIDTH - RIGHT + 6.0)) y=(px(f64::midpoint(top, bottom) + 4.0)) {
                (word) " " (self.limits(band))
            }
        }
    }

    /// `≥39.0`, `94–95`, `≤93`: the numbers with which the rule fires.
    fn limits(&self, band: &Band) -> String {
        let show = |number: i32| {
            if self.code == "temperature" {
                format!("{}.{}", number / 10, number % 10)
            } else {
                number.to_string()
            }
        };
        match (band.low, band.last) {
            (i32::MIN, last) => format!("≤{}", show(last)),
            (low, i32::MAX) => format!("≥{}", show(low)),
            (low, last) => format!("{}–{}", show(low), show(last)),
        }
    }

    fn lines(&self, scale: (i32, i32)) -> Markup {
        let first = scale.0 + (self.step - scale.0.rem_euclid(self.step)) % self.step;
        let is_decimal = self.code == "temperature";
        html! {
            @for number in (first..=scale.1).step_by(usize::try_from(self.step).unwrap_or(1)) {
                @let y = self.y(scale, number);
                line.grid-line x1=(px(LEFT)) x2=(px(WIDTH - RIGHT)) y1=(px(y)) y2=(px(y)) {}
                text.tick x=(px(LEFT - 6.0)) y=(px(y + 4.0)) text-anchor="end" {
                    @if is_decimal { (number / 10) } @else { (number) }
                }
            }
        }
    }

    fn day_lines(&self) -> Markup {
        let mut days = Vec::new();
        let mut day = self.days.0;
        while day <= self.days.1 {
            days.push(day);
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        // So that dates do not run into each other.
        let every = days.len().div_ceil(14);
        html! {
            @for (index, day) in days.iter().enumerate() {
                @let x = self.x(crate::base::clock::timestamp(day.to_datetime(jiff::civil::Time::midnight())));
                line.day-line x1=(px(x)) x2=(px(x)) y1=(px(TOP)) y2=(px(HEIGHT - BOTTOM)) {}
                @if index % every == 0 {
                    text.tick x=(px(x + 4.0)) y=(px(HEIGHT - BOTTOM + 20.0)) { (day.strftime("%-m/%-d")) }
                }
            }
        }
    }

    fn polyline(&self, scale: (i32, i32), run: &[&Observation]) -> String {
        let points = run.iter().filter_map(|one| {
            let number = number(one)?;
            Some(format!("{},{}", px(self.x(one.effective_at)), px(self.y(scale, number))))
        });
        points.collect::<Vec<_>>().join(" ")
    }

    /// One shape for each way, so that nobody needs to tell colours apart.
    fn point(&self, viewer: &Viewer, scale: (i32, i32), one: &Observation) -> Markup {
        let Some(number) = number(one) else { return html! {} };
        let (x, y) = (self.x(one.effective_at), self.y(scale, number));
        let words = format!(
            "{} {} {}",
            civil(one.effective_at).strftime("%m/%d %H:%M"),
            words::answer(viewer, self.code, one.value),
            viewer.tell(&words::channel(one.channel, None)),
        );
        html! { g.point { title { (words) } (shape(one.channel, x, y)) } }
    }

    /// It was asked for, and could not be measured.
    fn missed(&self, at: Timestamp) -> Markup {
        let (x, y) = (self.x(at), HEIGHT - BOTTOM - 6.0);
        let cross =
            format!("M{} {}l8 8M{} {}l-8 8", px(x - 4.0), px(y - 4.0), px(x + 4.0), px(y - 4.0));
        html! { path.missed d=(cross) {} }
    }

    fn table(&self, viewer: &Viewer, measured: &[&Observation], missed: &[&Observation]) -> Markup {
        let mut all: Vec<_> = measured.iter().chain(missed).collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.effective_at));
        html! {
            details {
                summary { (viewer.say("表で見る", "As a table")) }
                div.scroll {
                    table {
                        caption { (words::question(viewer, self.code)) }
                        thead { tr {
                            th scope="col" { (viewer.say("日時", "When")) }
                            th.number scope="col" { (viewer.say("値", "Value")) }
                            th scope="col" { (viewer.say("入力", "Source")) }
                            th scope="col" { (viewer.say("回答者", "Who")) }
                        } }
                        tbody {
                            @for one in all {
                                tr {
                                    th scope="row" { (civil(one.effective_at).strftime("%m/%d %H:%M")) }
                                    td.number { (words::answer(viewer, self.code, one.value)) }
                                    td { (viewer.tell(&words::channel(one.channel, None))) }
                                    td { (viewer.tell(&words::respondent(one.respondent))) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Which shape stands for which way.
pub(super) fn legend(viewer: &Viewer) -> Markup {
    html! {
        ul.legend {
            @for channel in Channel::ALL {
                li {
                    svg.mark viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" {
                        (shape(channel, 8.0, 8.0))
                    }
                    (viewer.tell(&words::channel(channel, None)))
                }
            }
            li {
                svg.mark viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" {
                    path.missed d="M4 4l8 8M12 4l-8 8" {}
                }
                (viewer.say("測れない", "Not measured"))
            }
        }
    }
}

fn shape(channel: Channel, x: f64, y: f64) -> Markup {
    match channel {
        Channel::OutboundCall => html! { circle.mark-call cx=(px(x)) cy=(px(y)) r="4.5" {} },
        Channel::InboundCall => {
            let triangle = format!("M{} {}l5.5 10h-11z", px(x), px(y - 6.0));
            html! { path.mark-inbound d=(triangle) {} }
        }
        Channel::Web => {
            html! { rect.mark-web x=(px(x - 4.5)) y=(px(y - 4.5)) width="9" height="9" {} }
        }
        Channel::Staff => {
            let diamond = format!("M{} {}l6 6l-6 6l-6-6z", px(x), px(y - 6.0));
            html! { path.mark-staff d=(diamond) {} }
        }
    }
}

/// Numbers with nothing unknown between them.
fn runs<'a, 'o>(
    measured: &'a [&'o Observation],
    missed: &[&Observation],
) -> impl Iterator<Item = &'a [&'o Observation]> {
    measured.chunk_by(move |one, next| {
        let (from, to) = (one.effective_at, next.effective_at);
        let was_missed =
            missed.iter().any(|miss| from < miss.effective_at && miss.effective_at < to);
        to.duration_since(from).unsigned_abs() <= GAP && !was_missed
    })
}

fn number(observation: &Observation) -> Option<i32> {
    match observation.value {
        Answer::Number(number) => Some(number),
        _ => None,
    }
}

/// Where the rules would fire for a number by itself. Graver bands come last, above the others.
fn bands(rules: &RuleSet, code: &str) -> Vec<Band> {
    let mut bands: Vec<Band> = rules
        .rules
        .iter()
        .filter_map(|rule| match &rule.condition {
            Condition::Number { code: asked, range } if asked == code => {
                // Drawn to the next number, which is not in it, so that bands touch.
                let (low, last) = (*range.start(), *range.end());
                Some(Band { low, last, high: last.saturating_add(1), priority: rule.priority })
            }
            Condition::Onset { code: asked, at_least } if asked == code => {
                let (low, last, high) = (*at_least, i32::MAX, i32::MAX);
                Some(Band { low, last, high, priority: rule.priority })
            }
            _ => None,
        })
        .collect();
    bands.sort_by_key(|band| band.priority);
    // A graver band hides the part of a milder one that it covers.
    let graver: Vec<(i32, i32, Priority)> =
        bands.iter().map(|band| (band.low, band.high, band.priority)).collect();
    for band in &mut bands {
        for (low, high, priority) in &graver {
            if *priority > band.priority
                && *low <= band.high
                && band.low < *low
                && *high >= band.high
            {
                band.high = *low;
            }
        }
    }
    bands
}

/// A length as it is written: a tenth is finer than any screen.
fn px(length: f64) -> String {
    format!("{length:.1}")
}
