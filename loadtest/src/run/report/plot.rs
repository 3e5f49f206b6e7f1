//! A plot of lines as SVG, with what is needed to read it: axes, ticks, units, a legend, a caption.
//! It is drawn twice, for wide and for narrow screens, so that its text is of one size on both.

use super::figure::number;
use super::frame::Frame;
use super::markup::{each, escape};
use super::scale::{Axis, Scale};

/// Colours, and dash patterns. Their numbers have no common divisor: no two lines of many look the
/// same.
const COLOURS: usize = 7;
/// See [`COLOURS`].
const DASHES: usize = 6;
/// Width of a digit.
const DIGIT: f64 = 7.4;

/// One line.
#[derive(Debug)]
pub(super) struct Series {
    /// What it is.
    pub(super) name: String,
    /// Its points, x ascending.
    pub(super) points: Vec<(f64, f64)>,
    /// The area below it is filled: what the other lines are compared with.
    pub(super) filled: bool,
}

/// A plot.
#[derive(Debug)]
pub(super) struct Plot {
    /// What it is about.
    pub(super) title: String,
    /// What is to be seen, in a sentence or two.
    pub(super) caption: String,
    /// What the x axis is, with its unit.
    pub(super) x: (&'static str, Scale),
    /// Unit of the y axis.
    pub(super) y: (&'static str, Scale),
    /// Points that the axes span besides the lines' own.
    pub(super) also: Vec<(f64, f64)>,
    /// Lines, the lowest layer first.
    pub(super) series: Vec<Series>,
    /// Something that happened at an x.
    pub(super) mark: Option<(f64, &'static str)>,
    /// Points that are farther apart are not joined.
    pub(super) gap: f64,
}

/// A piece of paper.
struct Paper {
    class: &'static str,
    width: f64,
    height: f64,
    ticks: (u32, u32),
}

const PAPERS: [Paper; 2] = [
    Paper {
        class: "wide",
        width: 640.0,
        height: 300.0,
        ticks: (8, 5),
    },
    Paper {
        class: "narrow",
        width: 350.0,
        height: 270.0,
        ticks: (5, 5),
    },
];

impl Plot {
    /// The plot as a figure, or a sentence that there is nothing to show.
    pub(super) fn figure(&self) -> String {
        let drawn: Option<String> = PAPERS.iter().map(|paper| self.draw(paper)).collect();
        let title = escape(&self.title);
        let Some(drawn) = drawn else {
            return format!("<p class=\"none\">{title}: nothing was measured.</p>\n");
        };
        let legend = each(self.series.iter().enumerate(), |(index, series)| {
            let line = if series.filled {
                "<path class=\"area\" d=\"M1 1H35V11H1Z\"/>".to_owned()
            } else {
                format!("<path class=\"line {}\" d=\"M1 6H35\"/>", look(index))
            };
            format!(
                "<li><svg class=\"swatch\" viewBox=\"0 0 36 12\" aria-hidden=\"true\">{line}</svg>\
                 {}</li>",
                escape(&series.name)
            )
        });
        format!(
            "<figure>\n<h3>{title}</h3>\n<ul class=\"legend\">{legend}</ul>\n{drawn}\
             <figcaption>{}</figcaption>\n</figure>\n",
            escape(&self.caption)
        )
    }

    fn draw(&self, paper: &Paper) -> Option<String> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        points().next()?;
        let all = || points().chain(&self.also);
        let x = Axis::over(self.x.1, all().map(|point| point.0), paper.ticks.0)?;
        let y = Axis::over(self.y.1, all().map(|point| point.1), paper.ticks.1)?;
        let longest = y
            .ticks
            .iter()
            .map(|(_, text)| text.len())
            .max()
            .unwrap_or(0);
        let digits = u32::try_from(longest).map_or(0.0, f64::from);
        let frame = Frame {
            left: 10.0 + DIGIT * digits,
            right: paper.width - 20.0,
            top: 30.0,
            bottom: paper.height - 44.0,
            x,
            y,
        };
        let lines = each(self.series.iter().enumerate(), |(index, series)| {
            let path = frame.path(&series.points, self.gap);
            if series.filled {
                format!(
                    "<path class=\"area\" d=\"{}\"/>\n",
                    frame.area(&series.points)
                ) + &format!("<path class=\"edge\" d=\"{path}\"/>\n")
            } else {
                format!("<path class=\"line {}\" d=\"{path}\"/>\n", look(index))
            }
        });
        Some(format!(
            "<svg class=\"plot {class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-label=\"{label}\">\n{axes}{mark}{lines}</svg>\n",
            class = paper.class,
            width = paper.width,
            height = paper.height,
            label = escape(&self.label()),
            axes = self.axes(&frame, paper),
            mark = self
                .mark
                .map_or_else(String::new, |(at, what)| frame.mark(at, what)),
        ))
    }

    /// The plot for those who do not see it.
    fn label(&self) -> String {
        let spans = self.series.iter().map(|series| {
            let values = || series.points.iter().map(|point| point.1);
            let low = values().fold(f64::INFINITY, f64::min);
            let high = values().fold(f64::NEG_INFINITY, f64::max);
            format!("{} from {} to {}", series.name, number(low), number(high))
        });
        let spans = spans.collect::<Vec<_>>().join("; ");
        format!("{}, {} by {}: {spans}", self.title, self.y.0, self.x.0)
    }

    fn axes(&self, frame: &Frame, paper: &Paper) -> String {
        let Frame {
            left,
            right,
            top,
            bottom,
            ..
        } = *frame;
        let rows = each(&frame.y.ticks, |(place, text)| {
            let at = frame.down(*place);
            format!(
                "<path class=\"grid\" d=\"M{left:.1} {at:.1}H{right:.1}\"/>\
                 <text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
                left - 6.0,
                at + 4.0,
                escape(text)
            )
        });
        let columns = each(&frame.x.ticks, |(place, text)| {
            let at = frame.across(*place);
            format!(
                "<path class=\"axis\" d=\"M{at:.1} {bottom:.1}v5\"/>\
                 <text class=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>\n",
                bottom + 18.0,
                escape(text)
            )
        });
        format!(
            "{rows}{columns}<path class=\"axis\" d=\"M{left:.1} {top:.1}V{bottom:.1}H{right:.1}\"/>\n\
             <text x=\"4\" y=\"14\">{}</text>\n\
             <text class=\"end\" x=\"{right:.1}\" y=\"{:.1}\">{}</text>\n",
            escape(self.y.0),
            paper.height - 7.0,
            escape(self.x.0)
        )
    }
}

/// The classes of a line.
fn look(index: usize) -> String {
    format!("c{} d{}", index % COLOURS, index % DASHES)
}
