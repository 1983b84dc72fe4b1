//! One self-contained HTML page on an evaluation: what is worst first. No scripts, no network; pictures are inside.

use std::io;

use aoi_retrieval::{ClassCounts, Confusion};
use askama::Template;

use super::{Evaluated, Figure, overlay};

/// Rows of the table of pictures; the others are in the JSON.
const ROWS: usize = 200;

/// What the page says beside the scores.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EvaluationContext {
    /// Heading.
    pub title: String,
    /// Program and version.
    pub software: String,
    /// When it was made, as RFC 3339; printed as given.
    pub created: String,
    /// Settings to print, with their names.
    pub settings: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "evaluation.html")]
struct Page<'a> {
    style: &'static str,
    context: &'a EvaluationContext,
    images: usize,
    mean_iou: String,
    mean_dice: String,
    lowest: String,
    classes: Vec<Class>,
    names: &'a [String],
    rows: Vec<Row>,
    hidden: usize,
    figures: Vec<&'a Figure>,
}

/// A class over all pictures.
struct Class {
    name: String,
    colour: String,
    figures: [String; 4],
    /// Length of its bar, 0 to 200.
    bar: f64,
    pixels: u64,
}

/// A picture.
struct Row {
    name: String,
    mean: String,
    classes: Vec<String>,
}

/// Three decimals, or a dash for what is not defined.
fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"))
}

fn class(name: &str, place: usize, counts: &ClassCounts) -> Class {
    let [r, g, b] = overlay::colour(place);
    Class {
        name: name.to_owned(),
        colour: format!("#{r:02x}{g:02x}{b:02x}"),
        figures: [counts.iou(), counts.dice(), counts.precision(), counts.recall()].map(number),
        bar: (counts.iou().unwrap_or(0.0) * 200.0).round(),
        pixels: counts.hits + counts.misses,
    }
}

/// Writes the page.
///
/// # Errors
/// When `out` fails or the page cannot be laid out.
pub fn write_evaluation(
    out: &mut dyn io::Write,
    evaluated: &Evaluated,
    context: &EvaluationContext,
) -> io::Result<()> {
    let worst_first = evaluated.worst_first();
    let mean = |counts: &Confusion| number(counts.mean_iou());
    let rows: Vec<Row> = worst_first
        .iter()
        .take(ROWS)
        .map(|image| Row {
            name: image.name.clone(),
            mean: mean(&image.counts),
            classes: image.counts.classes.iter().map(|c| number(c.iou())).collect(),
        })
        .collect();
    let named = evaluated.classes.iter().zip(&evaluated.total.classes);
    let page = Page {
        style: aoi_tolerance::report::STYLE,
        context,
        images: evaluated.images.len(),
        mean_iou: mean(&evaluated.total),
        mean_dice: number(evaluated.total.mean_dice()),
        lowest: worst_first.first().map_or_else(String::new, |i| format!("{}, {}", mean(&i.counts), i.name)),
        classes: named.enumerate().map(|(i, (name, counts))| class(name, i, counts)).collect(),
        names: &evaluated.classes,
        hidden: worst_first.len() - rows.len(),
        rows,
        figures: evaluated.figures().collect(),
    };
    let text = page.render().map_err(io::Error::other)?;
    out.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use aoi_encoder::ndarray::Array3;

    use super::*;

    fn evaluated() -> Evaluated {
        let mut evaluated = Evaluated::new(vec!["wire & ball".into()], 1);
        // Eight, none and two hits of one row, with a false alarm and a miss each.
        for (name, hits) in [("good", 8), ("<bad>", 0), ("fair", 2)] {
            let row = |from: usize| {
                Array3::from_shape_fn((1, 1, 12), |(_, _, x)| u8::from(x >= from && x <= from + hits))
            };
            let picture = Array3::<f32>::zeros((1, 1, 12));
            evaluated.add(name, &picture, row(0).view(), row(1).view()).unwrap();
        }
        evaluated
    }

    fn page() -> String {
        let settings = vec![("k", "10".to_owned())];
        let context =
            EvaluationContext { title: "A <test>".into(), settings, ..EvaluationContext::default() };
        let mut out = Vec::new();
        write_evaluation(&mut out, &evaluated(), &context).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_worst_picture_comes_first_and_names_are_text() {
        let page = page();
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} in {page}"));
        assert!(
            at("&#60;bad&#62;</bdi></th>") < at("fair</bdi></th>")
                && at("fair</bdi></th>") < at("good</bdi></th>")
        );
        assert!(page.contains("wire &#38; ball") && !page.contains("<bad>") && !page.contains("<test>"));
        // 10 hits, 3 false alarms, 3 misses.
        assert!(page.contains("0.625") && page.contains("0.769"), "{page}");
    }

    #[test]
    fn the_page_holds_its_pictures_and_asks_for_nothing() {
        let page = page();
        assert_eq!(page.matches("data:image/png;base64,").count(), 2);
        assert!(page.contains("default-src 'none'"));
        for word in ["<script", "http://", "https://", "url(http"] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
