//! One time axis for a drill: who held the address, who led, and every request.

use std::fmt::Write as _;

use caravan_cluster::drill::record::Micros;
use svg::node::Node;
use svg::node::Value;
use svg::node::element::Element;

use super::draw::{cut, element, group, number, path, rect, text, title};
use crate::drills::{DrillChart, DrillView, RequestLane, StateLane, WatchMark, WatchTurn};
use crate::{axis, time};

/// The width of the picture, and how far the axis begins and ends from its sides.
const WIDTH: f64 = 960.0;
const SIDE: f64 = 8.0;

/// The heights of the axis, of a lane's words, and of what is in it.
const AXIS: f64 = 40.0;
const WORDS: f64 = 20.0;
const STATE: f64 = 20.0;
const REQUESTS: f64 = 40.0;
const LANE_GAP: f64 = 10.0;

/// The latency at the foot of a lane, in microseconds; at its top is the deadline.
const FOOT: f64 = 1_000.0;

/// How many marks the axis may have.
const MARKS: u64 = 12;

/// How wide a state must be for its name to stand in it, by characters.
const CHARACTER: f64 = 7.3;

/// Draws a drill.
pub fn drill_chart(view: &DrillView, chart: &DrillChart) -> String {
    let scale = Scale::of(chart);
    let mut lanes = Vec::new();
    let mut y = AXIS;
    for lane in &chart.states {
        lanes.push(state_lane(lane, y, &scale));
        y += WORDS + STATE + LANE_GAP;
    }
    for lane in &chart.requests {
        lanes.push(request_lane(lane, y, &scale));
        y += WORDS + REQUESTS + LANE_GAP;
    }
    if !chart.watch.is_empty() {
        lanes.push(watch_lane(chart, y, &scale));
        y += WORDS + STATE + LANE_GAP;
    }
    let height = y + 4.0;
    let mut picture = element(
        "svg",
        [
            ("xmlns", Value::from("http://www.w3.org/2000/svg")),
            ("class", Value::from("picture drill")),
            ("viewBox", Value::from(format!("0 0 {WIDTH} {height}"))),
            ("width", number(WIDTH)),
            ("height", number(height)),
            ("role", Value::from("img")),
            ("aria-label", Value::from(description(view))),
        ],
    );
    picture.append(shades(chart, height, &scale));
    picture.append(time_axis(chart, height, &scale));
    for lane in lanes {
        picture.append(lane);
    }
    picture.to_string() + "\n"
}

/// From times to places.
struct Scale {
    end: f64,
}

impl Scale {
    fn of(chart: &DrillChart) -> Self {
        Self {
            end: chart.end.max(1) as f64,
        }
    }

    fn x(&self, at: Micros) -> f64 {
        let at = (at as f64).min(self.end);
        SIDE + (WIDTH - 2.0 * SIDE) * at / self.end
    }
}

/// The fault, from when it was sent to when all was well again, and where it was repaired.
fn shades(chart: &DrillChart, height: f64, scale: &Scale) -> Element {
    let mut drawn = group("fault");
    let Some((from, to)) = chart.fault else {
        return drawn;
    };
    let (x, end) = (scale.x(from), scale.x(to));
    drawn.append(rect("shade", (x, 16.0), (end - x, height - 18.0), 0.0));
    let line = |x: f64| format!("M{} 16V{}", number(x), number(height - 2.0));
    drawn.append(path("line", &line(x)));
    drawn.append(text("word", (x + 4.0, 12.0), "▼ fault"));
    if let Some(repair) = chart.repair {
        let x = scale.x(repair);
        drawn.append(path("line dashed", &line(x)));
        drawn.append(text("word", (x + 4.0, 12.0), "▲ repaired"));
        if end - x > 150.0 {
            drawn.append(text("word ends", (end, 12.0), "well again"));
        }
    }
    drawn
}

fn time_axis(chart: &DrillChart, height: f64, scale: &Scale) -> Element {
    let mut drawn = group("axis");
    for at in axis::marks(chart.end / 1_000_000, MARKS) {
        let x = scale.x(at * 1_000_000);
        let line = format!("M{} 32V{}", number(x), number(height - 2.0));
        drawn.append(path("mark", &line));
        let class = match at {
            0 => "tick first",
            _ if x > WIDTH - 24.0 => "tick last",
            _ => "tick",
        };
        drawn.append(text(class, (x, 28.0), &format!("{at} s")));
    }
    drawn
}

fn state_lane(lane: &StateLane, y: f64, scale: &Scale) -> Element {
    let mut drawn = group("states");
    drawn.append(text("lane", (SIDE, y + 13.0), &lane.name));
    for (place, (from, to, who)) in lane.spans.iter().enumerate() {
        let (x, end) = (scale.x(*from), scale.x(*to));
        let name = if who.is_empty() { "nobody" } else { who };
        let class = match (who.is_empty(), place % 2) {
            (true, _) => "state nobody",
            (false, 0) => "state",
            (false, _) => "state other",
        };
        let mut one = group(class);
        one.append(title(&format!(
            "{name}, from {} to {}",
            time::s(*from),
            time::s(*to)
        )));
        one.append(rect(
            "bar",
            (x, y + WORDS),
            ((end - x).max(1.0), STATE),
            2.0,
        ));
        let fits = ((end - x - 8.0) / CHARACTER) as usize;
        if fits > 3 {
            one.append(text("name", (x + 5.0, y + WORDS + 14.0), &cut(name, fits)));
        }
        drawn.append(one);
    }
    drawn
}

fn request_lane(lane: &RequestLane, y: f64, scale: &Scale) -> Element {
    let mut drawn = group("requests");
    let (good, bad) = (lane.good.len(), lane.failed.len() + lane.unknown.len());
    // The number that matters most stands where a narrow window still shows it.
    let mut words = match lane.gaps.first() {
        Some((from, to)) => format!(
            "{}: longest gap {}; {good} good",
            lane.name,
            time::ms(to - from)
        ),
        None => format!("{}: {good} good", lane.name),
    };
    if bad > 0 {
        let parts = [
            (lane.failed.len(), "✕ failed"),
            (lane.unknown.len(), "+ unknown"),
        ];
        for (count, word) in parts.into_iter().filter(|(count, _)| *count > 0) {
            // Writing to a string cannot fail.
            let _ = write!(words, ", {count} {word}");
        }
    }
    drawn.append(text("lane", (SIDE, y + 13.0), &words));
    let top = y + WORDS;
    drawn.append(rect(
        "ground",
        (SIDE, top),
        (WIDTH - 2.0 * SIDE, REQUESTS),
        2.0,
    ));
    for (from, to) in &lane.gaps {
        let (x, end) = (scale.x(*from), scale.x(*to));
        let mut gap = group("gap");
        gap.append(title(&format!(
            "no good answer for {}, from {}",
            time::ms(to - from),
            time::s(*from)
        )));
        gap.append(rect("bar", (x, top), ((end - x).max(1.0), REQUESTS), 0.0));
        drawn.append(gap);
    }
    let height = |latency: Micros| {
        let (least, most) = (FOOT.ln(), (lane.deadline.max(2_000) as f64).ln());
        let share = ((latency.max(1) as f64).ln() - least) / (most - least);
        top + REQUESTS - 3.0 - share.clamp(0.0, 1.0) * (REQUESTS - 6.0)
    };
    for (class, dots, mark) in [
        ("good", &lane.good, "h0"),
        ("failed", &lane.failed, "m-2.5-2.5l5 5m0-5l-5 5"),
        ("unknown", &lane.unknown, "m-3 0h6m-3-3v6"),
    ] {
        if dots.is_empty() {
            continue;
        }
        let mut data = String::with_capacity(dots.len() * 12);
        for (at, latency) in dots {
            let (x, y) = (number(scale.x(*at)), number(height(*latency)));
            let _ = write!(data, "M{x} {y}{mark}");
        }
        drawn.append(path(class, &data));
    }
    drawn
}

fn watch_lane(chart: &DrillChart, y: f64, scale: &Scale) -> Element {
    let mut drawn = group("watch");
    drawn.append(text("lane", (SIDE, y + 13.0), &watch_words(&chart.watch)));
    let top = y + WORDS;
    drawn.append(rect(
        "ground",
        (SIDE, top),
        (WIDTH - 2.0 * SIDE, STATE),
        2.0,
    ));
    for mark in &chart.watch {
        let (x, middle) = (scale.x(mark.at), top + STATE / 2.0);
        let mut one = group("event");
        let at = time::s(mark.at);
        one.append(title(&format!("{}, at {at}", mark.text())));
        let (class, data) = match mark.what {
            WatchTurn::Began => ("begins", "m0-4l6 4l-6 4Z"),
            WatchTurn::Broke => ("broke", "m-3.5-3.5l7 7m0-7l-7 7"),
            WatchTurn::Listed => ("listed", "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0"),
        };
        let (x, y) = (number(x), number(middle));
        one.append(path(class, &format!("M{x} {y}{data}")));
        drawn.append(one);
    }
    drawn
}

/// What became of the watch.
fn watch_words(watch: &[WatchMark]) -> String {
    let count = |what: WatchTurn| watch.iter().filter(|it| it.what == what).count();
    let times = |count: usize| match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    let broke = match count(WatchTurn::Broke) {
        0 => "it held".to_owned(),
        count => format!("it broke {}", times(count)),
    };
    match count(WatchTurn::Listed) {
        0 => format!("watch: {broke}"),
        count => format!("watch: {broke}, and listed anew {}", times(count)),
    }
}

/// The picture in a sentence, for who does not see it.
fn description(view: &DrillView) -> String {
    let reads = view.reads().map_or_else(String::new, |reads| {
        format!(
            "; reads were away for up to {}, and {} of {} failed",
            time::ms(reads.away.1),
            reads.failed,
            reads.asked
        )
    });
    format!("The drill {} over time{reads}", view.drill)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_no_break() {
        let mark = |what| WatchMark {
            at: 1,
            what,
            why: String::new(),
        };
        let (began, broke, listed) = (
            mark(WatchTurn::Began),
            mark(WatchTurn::Broke),
            mark(WatchTurn::Listed),
        );
        assert_eq!(watch_words(std::slice::from_ref(&began)), "watch: it held");
        let once = [began.clone(), broke.clone(), listed.clone(), began];
        assert_eq!(
            watch_words(&once),
            "watch: it broke once, and listed anew once"
        );
        assert_eq!(
            watch_words(&[broke.clone(), broke]),
            "watch: it broke 2 times"
        );
    }
}
