//! The part of a plot that its lines are drawn in.

use super::markup::{each, escape};
use super::scale::Axis;

/// A line of more than twice as many points is thinned to that.
const COLUMNS: usize = 300;

/// Where the lines are drawn.
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Frame {
    pub(super) fn across(&self, place: f64) -> f64 {
        self.left + place * (self.right - self.left)
    }

    pub(super) fn down(&self, place: f64) -> f64 {
        self.bottom - place * (self.bottom - self.top)
    }

    fn at(&self, (x, y): (f64, f64)) -> String {
        let (x, y) = (self.across(self.x.place(x)), self.down(self.y.place(y)));
        format!("{x:.1} {y:.1}")
    }

    /// A line through the points, broken where they are far apart.
    pub(super) fn path(&self, points: &[(f64, f64)], gap: f64) -> String {
        let mut path = String::new();
        let mut last = None;
        for point in thin(points) {
            let joined = last.is_some_and(|last| point.0 - last <= gap);
            path.push_str(if joined { "L" } else { "M" });
            path.push_str(&self.at(point));
            if !joined {
                // A point alone is seen too.
                path.push_str("h.1");
            }
            last = Some(point.0);
        }
        path
    }

    /// What is below the points.
    pub(super) fn area(&self, points: &[(f64, f64)]) -> String {
        let points = thin(points);
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return String::new();
        };
        let edge = each(&points, |point| format!("L{}", self.at(*point)));
        format!(
            "M{}{edge}L{}Z",
            self.at((first.0, 0.0)),
            self.at((last.0, 0.0))
        )
    }

    pub(super) fn mark(&self, at: f64, what: &str) -> String {
        let (x, top, bottom) = (self.across(self.x.place(at)), self.top, self.bottom);
        format!(
            "<path class=\"mark\" d=\"M{x:.1} {bottom:.1}V{top:.1}\"/>\
             <text class=\"end\" x=\"{x:.1}\" y=\"14\">{}</text>\n",
            escape(what)
        )
    }
}

/// Of many points, the least and the greatest of each part: no peak is lost.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let finite = points
        .iter()
        .copied()
        .filter(|(x, y)| x.is_finite() && y.is_finite());
    let points: Vec<_> = finite.collect();
    if points.len() <= COLUMNS * 2 {
        return points;
    }
    let parts = points.chunks(points.len().div_ceil(COLUMNS));
    let ends = parts.flat_map(|part| {
        let least = part.iter().min_by(|one, other| one.1.total_cmp(&other.1));
        let greatest = part.iter().max_by(|one, other| one.1.total_cmp(&other.1));
        let mut ends: Vec<_> = [least, greatest].into_iter().flatten().copied().collect();
        ends.sort_by(|one, other| one.0.total_cmp(&other.0));
        ends
    });
    ends.collect()
}
