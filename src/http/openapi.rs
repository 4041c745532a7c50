//! `GET /api/openapi.json`: the description of the API for tools (OpenAPI 3.1).
//!
//! Written by hand in `openapi.json`; tests here hold its paths, methods and bounds to the routes
//! and limits, and an outside tester its schemas to the answers.

use hyper::StatusCode;

use super::Answer;

/// The description as it is served.
const TEXT: &str = include_str!("openapi.json");

/// The description.
pub fn answer() -> Answer {
    super::with_type(StatusCode::OK, "application/json", TEXT)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;
    use crate::http::route;
    use crate::limits::{
        BATCH_ITEMS_MAX, CLOSE_REASON_BYTES_MAX, PAGE_ITEMS, PAGE_ITEMS_MAX, TOPIC_BYTES_MAX,
        TOPIC_SEGMENTS_MAX,
    };

    fn description() -> Value {
        serde_json::from_str(TEXT).unwrap()
    }

    #[test]
    fn its_paths_and_methods_are_the_routes() {
        let document = description();
        let methods = |item: &Value| -> BTreeSet<String> {
            let operations = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
            operations.map(|method| method.to_ascii_uppercase()).collect()
        };
        let described: BTreeMap<_, _> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(path, item)| (path.clone(), methods(item)))
            .collect();
        // `HEAD` goes with `GET` and is not described.
        let served: BTreeMap<_, _> = route::table()
            .map(|(path, methods)| {
                let named = methods.split(", ").filter(|method| *method != "HEAD");
                (path.to_owned(), named.map(str::to_owned).collect())
            })
            .collect();
        assert_eq!(described, served);
    }

    #[test]
    fn names_in_its_paths_are_described() {
        let document = description();
        for (path, item) in document["paths"].as_object().unwrap() {
            let braces =
                path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            let named: Vec<_> = braces.collect();
            let refers = |parameter: &Value| {
                let pointer = parameter["$ref"].as_str().unwrap().strip_prefix('#').unwrap();
                let parameter = document.pointer(pointer).unwrap();
                assert_eq!(
                    (&parameter["in"], &parameter["required"]),
                    (&"path".into(), &true.into())
                );
                parameter["name"].as_str().unwrap().to_owned()
            };
            let described: Vec<_> =
                item["parameters"].as_array().into_iter().flatten().map(refers).collect();
            assert_eq!(described, named, "{path}");
        }
    }

    /// A name of a parameter that is told in the description of another.
    const SYNONYMS: &[(&str, &str)] =
        &[("tenantId", "tenant"), ("tenant", "tenantId"), ("userId", "user")];

    #[test]
    fn its_parameters_are_those_that_are_read() {
        let document = description();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if method == "parameters" {
                    continue;
                }
                let method = method.to_ascii_uppercase().parse().unwrap();
                let Some(read) = route::Route::of(&method, path).parameters() else { continue };
                let mut described = BTreeSet::new();
                for reference in operation["parameters"].as_array().into_iter().flatten() {
                    let pointer = reference["$ref"].as_str().unwrap().strip_prefix('#').unwrap();
                    let parameter = document.pointer(pointer).unwrap();
                    assert_eq!(parameter["in"], "query", "{path}");
                    let name = parameter["name"].as_str().unwrap();
                    described.insert(name);
                    let other = SYNONYMS.iter().find(|(own, _)| *own == name);
                    if let Some((_, other)) = other {
                        let text = parameter["description"].as_str().unwrap();
                        assert!(text.contains(&format!("also as `{other}`")), "{path}: {name}");
                        described.insert(other);
                    }
                }
                assert_eq!(described, read.iter().copied().collect(), "{path}");
                let told = operation["responses"].as_object().unwrap();
                assert!(told.contains_key("400"), "{path} may refuse a parameter");
            }
        }
    }

    #[test]
    fn all_that_it_refers_to_is_there_and_used() {
        fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
            match value {
                Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(Value::as_str));
                    members.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = description();
        let mut referred = BTreeSet::new();
        references(&document, &mut referred);
        let mut there = BTreeSet::new();
        for kind in ["schemas", "parameters", "responses"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                there.insert(format!("#/components/{kind}/{name}"));
            }
        }
        assert_eq!(referred, there.iter().map(String::as_str).collect());
    }

    #[test]
    fn its_bounds_are_the_limits() {
        let document = description();
        let number = |pointer: &str| document.pointer(pointer).unwrap().as_u64().unwrap() as usize;
        let limit = "/components/parameters/limit/schema";
        assert_eq!(number(&format!("{limit}/maximum")), usize::from(PAGE_ITEMS_MAX));
        assert_eq!(number(&format!("{limit}/default")), usize::from(PAGE_ITEMS));
        assert_eq!(number("/components/schemas/Topic/maxLength"), TOPIC_BYTES_MAX);
        assert_eq!(number("/components/schemas/Batch/maxItems"), BATCH_ITEMS_MAX);
        let reason = "/components/schemas/Disconnect/properties/reason/maxLength";
        assert_eq!(number(reason), CLOSE_REASON_BYTES_MAX);
        let pattern = document["components"]["schemas"]["Topic"]["pattern"].as_str().unwrap();
        assert!(pattern.ends_with(&format!("{{0,{}}}$", TOPIC_SEGMENTS_MAX - 1)), "{pattern}");
    }
}
