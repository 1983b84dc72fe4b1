//! Whose verdict a measurement gets.
//!
//! In CFX a verdict (`Verification`) sits on a defect, an inspection or a unit, never on a measurement. It goes to the measurements that
//! the defect names (`RelatedMeasurements`), else to those of its component that lie outside their limits, else it is the inspection's,
//! else the unit's, again for what lies outside. `NotVerifiedYet` is also what a sender writes who says nothing: it yields to any other
//! word, from the defect up to the unit.

use serde_json::Value;

use super::json::{list, text};

/// A defect of one inspection.
#[derive(Debug)]
pub(crate) struct Defect<'v> {
    pub(crate) id: &'v str,
    pub(crate) designator: &'v str,
    pub(crate) code: &'v str,
    /// The verdict's word; empty where nobody gave one.
    pub(crate) word: &'v str,
    related: Vec<&'v str>,
}

/// The verdicts of one inspection.
#[derive(Debug)]
pub(crate) struct Review<'v> {
    pub(crate) defects: Vec<Defect<'v>>,
    /// The inspection's own word, or the unit's.
    word: &'v str,
}

/// A word, and the defect it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Said<'v> {
    pub(crate) word: &'v str,
    /// Place among the review's defects.
    pub(crate) defect: Option<usize>,
}

const UNSAID: &str = "NotVerifiedYet";

impl<'v> Review<'v> {
    pub(crate) fn of(unit: &'v Value, inspection: &'v Value) -> Self {
        let word = said(inspection, said(unit, ""));
        let defect = |defect: &'v Value| Defect {
            id: text(defect, "UniqueIdentifier"),
            designator: super::json::member(defect, "ComponentOfInterest")
                .map_or("", |component| text(component, "ReferenceDesignator")),
            code: text(defect, "DefectCode"),
            word: said(defect, word),
            related: list(defect, "RelatedMeasurements")
                .iter()
                .map(|m| text(m, "UniqueIdentifier"))
                .filter(|id| !id.is_empty())
                .collect(),
        };
        Self { defects: list(inspection, "DefectsFound").iter().map(defect).collect(), word }
    }

    /// What is said of a measurement that a defect names; none where no defect does.
    pub(crate) fn by_name(&self, measurement: &str) -> Option<Said<'v>> {
        self.severest(|defect| !measurement.is_empty() && defect.related.contains(&measurement))
    }

    /// What is said of a value outside its limits that no defect names.
    pub(crate) fn by_place(&self, designator: &str) -> Said<'v> {
        let is_here = |defect: &Defect<'_>| {
            let (whole, part) = (defect.designator, without_pin(defect.designator));
            let same = whole.is_empty()
                || whole == designator
                || part == without_pin(designator) && (part == whole || part == designator);
            defect.related.is_empty() && same
        };
        self.severest(is_here).unwrap_or(Said { word: self.word, defect: None })
    }

    /// The severest word of some defects: a rejected one yields to all others, as it is not known which of them the value belongs to.
    fn severest(&self, wanted: impl Fn(&Defect<'_>) -> bool) -> Option<Said<'v>> {
        let severity = |word: &str| match word {
            "DefectRejected" => 0,
            "DefectAccepted" => 2,
            "DefectConfirmed" | "DefectRepaired" | "DefectClosed" => 3,
            _ => 1,
        };
        let mut found: Option<Said<'v>> = None;
        for (place, defect) in self.defects.iter().enumerate().filter(|(_, d)| wanted(d)) {
            if found.is_none_or(|f| severity(defect.word) > severity(f.word)) {
                found = Some(Said { word: defect.word, defect: Some(place) });
            }
        }
        found
    }
}

/// The word that stands here, or else the one from further up.
fn said<'v>(here: &'v Value, above: &'v str) -> &'v str {
    match text(here, "Verification") {
        "" => above,
        UNSAID if !above.is_empty() => above,
        word => word,
    }
}

/// `R2.3` is pin 3 of R2.
pub(crate) fn without_pin(designator: &str) -> &str {
    designator.split_once('.').map_or(designator, |(part, _)| part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_word_comes_from_the_defect_before_the_inspection_before_the_unit() {
        let unit = json!({"Verification": "DefectConfirmed"});
        let defect = |word: &str| {
            let inspection = json!({"Verification": "NotVerifiedYet", "DefectsFound":
                [{"Verification": word, "ComponentOfInterest": {"ReferenceDesignator": "R1"}}]});
            Review::of(&unit, &inspection).by_place("R1.2").word.to_owned()
        };
        assert_eq!(defect("DefectRejected"), "DefectRejected");
        assert_eq!(defect("NotVerifiedYet"), "DefectConfirmed");
        let silent = json!({});
        assert_eq!(Review::of(&unit, &silent).by_place("R1").word, "DefectConfirmed");
        assert_eq!(Review::of(&silent, &silent).by_place("R1").word, "");
        assert_eq!(
            Review::of(&silent, &json!({"Verification": "NotVerifiedYet"})).by_place("R1").word,
            UNSAID
        );
    }

    #[test]
    fn a_defect_of_another_place_or_with_measurements_of_its_own_is_not_this_ones() {
        let inspection = json!({"DefectsFound": [
            {"UniqueIdentifier": "a", "Verification": "DefectConfirmed", "ComponentOfInterest": {"ReferenceDesignator": "R1.2"}},
            {"UniqueIdentifier": "b", "Verification": "DefectRejected", "RelatedMeasurements": [{"UniqueIdentifier": "m"}]},
        ]});
        let unit = json!({});
        let review = Review::of(&unit, &inspection);
        assert_eq!(review.by_place("R1.2").defect, Some(0));
        assert_eq!(review.by_place("R1").defect, Some(0), "a fault of a pin is one of the part");
        assert_eq!(review.by_place("R1.1").defect, None);
        assert_eq!(review.by_place("R2").defect, None);
        assert_eq!(review.by_name("m").map(|s| s.word), Some("DefectRejected"));
        assert_eq!(review.by_name(""), None);
    }
}
