//! Looking things up in a message: names in any case, absent and null alike.

use serde_json::Value;

/// A member of an object, its name in any case: senders write `TransactionId`, `TransactionID` and `transactionId`.
pub(crate) fn member<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    let members = object.as_object()?;
    let found = members.get(name);
    let found = found.or_else(|| members.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v));
    found.filter(|v| !v.is_null())
}

/// The elements of a list member; none where it is absent.
pub(crate) fn list<'v>(object: &'v Value, name: &str) -> &'v [Value] {
    member(object, name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A text member; empty where it is absent or no text.
pub(crate) fn text<'v>(object: &'v Value, name: &str) -> &'v str {
    member(object, name).and_then(Value::as_str).unwrap_or("").trim()
}

/// A member as it would stand in a table: a number in its shortest form, a text as it is, anything else as JSON.
pub(crate) fn field(object: &Value, name: &str) -> String {
    match member(object, name) {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
