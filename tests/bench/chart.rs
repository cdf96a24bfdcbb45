//! The growth as a picture: lines over rows, both by powers of ten, in SVG that is readable on light and dark.

mod axes;

use std::fmt::Write as _;
use std::path::Path;

use crate::growth::{Growth, LINES, Line, Median, Panel};
use crate::trouble::{Outcome, Trouble};
use axes::{Axis, Frame};

const WIDTH: f64 = 940.0;
const PANEL_HEIGHT: f64 = 400.0;
const FRAME: Frame = Frame { left: 70.0, right: 600.0, top: 50.0, bottom: 330.0 };
/// Where the legend begins, and how far its lines are apart.
const LEGEND: (f64, f64) = (630.0, 24.0);

/// Colours as plain values: not every program that shows pictures knows variables.
const STYLE: &str = "
    text { fill: #1f2328; font: 13px system-ui, sans-serif; } .title { font-weight: 600; font-size: 15px; }
    .tick { fill: #6e7781; font-size: 12px; } path { fill: none; stroke-width: 2; } circle { fill: #ffffff; stroke-width: 2; }
    .paper { fill: #ffffff; } path.grid { stroke: #d8dee4; stroke-width: 1; }
    .k0 { stroke: #0969da; } .k1 { stroke: #bc4c00; } .k2 { stroke: #1a7f37; } .k3 { stroke: #8250df; } .k4 { stroke: #bf3989; }
    .d1 { stroke-dasharray: 7 4; } .d2 { stroke-dasharray: 2 4; }
    @media (prefers-color-scheme: dark) {
        text { fill: #e6edf3; } .tick { fill: #8d96a0; } circle { fill: #0d1117; }
        .paper { fill: #0d1117; } path.grid { stroke: #30363d; }
        .k0 { stroke: #58a6ff; } .k1 { stroke: #f0883e; } .k2 { stroke: #3fb950; } .k3 { stroke: #bc8cff; } .k4 { stroke: #f778ba; }
    }";

/// Draws it there.
pub(crate) fn write(growth: &Growth, path: &Path) -> Outcome {
    let trouble = || Trouble::when(format!("write {}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(trouble())?;
    }
    std::fs::write(path, draw(growth)).map_err(trouble())
}

/// A line, and its medians at all sizes.
type Drawn<'a> = (&'a Line, &'a [Median]);

fn draw(growth: &Growth) -> String {
    let height = 2.0 * PANEL_HEIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>How long reads take as rows grow</title>\n<style>{STYLE}\n</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    let panels = [
        (Panel::Administrators, "What administrators look at: median time of one request"),
        (Panel::OnePerson, "What one person has: median time of one request"),
    ];
    for ((panel, title), place) in panels.into_iter().zip([0.0, PANEL_HEIGHT]) {
        let all = LINES.iter().zip(&growth.medians).filter(|(line, _)| line.panel == panel);
        let lines: Vec<Drawn> = all.map(|(line, medians)| (line, medians.as_slice())).collect();
        let _infallible = writeln!(svg, "<g transform=\"translate(0 {place})\">");
        draw_panel(&mut svg, title, growth, &lines);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_panel(svg: &mut String, title: &str, growth: &Growth, lines: &[Drawn]) {
    let medians = lines.iter().flat_map(|(_, medians)| *medians).filter_map(|median| median.as_ref().ok());
    let y = Axis::over(medians.map(|median| median.as_secs_f64() * 1e3), FRAME.bottom, FRAME.top);
    let rows: Vec<f64> = growth.sizes.iter().map(|size| axes::float(size.rows)).collect();
    let x = Axis::over(rows.iter().copied(), FRAME.left, FRAME.right);
    let _infallible = writeln!(svg, "<text class=\"title\" x=\"{}\" y=\"26\">{title}</text>", FRAME.left);
    axes::draw(svg, FRAME, &x, &y, &growth.sizes);
    let mut of_kind = [0; 5];
    for (place, (line, medians)) in lines.iter().enumerate() {
        let (kind, dash) = (line.kind, of_kind[line.kind]);
        of_kind[kind] += 1;
        let points = rows.iter().zip(*medians).filter_map(|(rows, median)| {
            Some((x.place(*rows), y.place(median.as_ref().ok()?.as_secs_f64() * 1e3)))
        });
        draw_line(svg, points.collect(), kind, dash);
        let (left, step) = LEGEND;
        let height = FRAME.top + 10.0 + axes::float(place as u64) * step;
        draw_line(svg, vec![(left, height), (left + 36.0, height)], kind, dash);
        let _infallible =
            writeln!(svg, "<text x=\"{}\" y=\"{}\">{}</text>", left + 46.0, height + 4.0, line.name);
    }
}

fn draw_line(svg: &mut String, points: Vec<(f64, f64)>, kind: usize, dash: usize) {
    let steps: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    let _infallible = writeln!(svg, "<path class=\"k{kind} d{dash}\" d=\"M {}\"/>", steps.join(" L "));
    for (x, y) in points {
        let _infallible = writeln!(svg, "<circle class=\"k{kind}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
    }
}
