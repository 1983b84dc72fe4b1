//! Inspection limits from reviewed records.
