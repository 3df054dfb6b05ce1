use super::rows::Row;

/// How a key is made of a row's columns: `id`, or `city:{country}:{name}`.
#[derive(Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Column(String),
}

impl Template {
    /// Reads a template; one without braces is a column.
    pub fn parse(text: &str) -> Result<Template, String> {
        if text.is_empty() {
            return Err("--key names a column, or a template like 'city:{country}:{name}'".into());
        }
        if !text.contains(['{', '}']) {
            return Ok(Template { parts: vec![Part::Column(text.into())] });
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            if open > 0 {
                parts.push(Part::Text(rest[..open].into()));
            }
            let behind = &rest[open + 1..];
            let Some(close) = behind.find('}') else {
                return Err(format!("--key {text}: a {{ without its }}"));
            };
            if close == 0 {
                return Err(format!("--key {text}: {{}} names no column"));
            }
            parts.push(Part::Column(behind[..close].into()));
            rest = &behind[close + 1..];
        }
        if rest.contains('}') {
            return Err(format!("--key {text}: a }} without its {{"));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Template { parts })
    }
    /// The key of a row.
    pub fn fill(&self, row: &Row) -> Result<String, String> {
        let mut key = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => key.push_str(text),
                Part::Column(name) => key.push_str(&row.column(name)?),
            }
        }
        if key.is_empty() { Err("its key is empty".into()) } else { Ok(key) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Row {
        Row::from_json(text).unwrap()
    }

    #[test]
    fn keys_are_made_of_columns() {
        let fill = |template: &str, json: &str| Template::parse(template).unwrap().fill(&row(json));
        assert_eq!(fill("id", r#"{"id":7}"#), Ok("7".into()));
        assert_eq!(fill("city:{c}:{n}", r#"{"c":"KR","n":"Seoul"}"#), Ok("city:KR:Seoul".into()));
        assert!(fill("{x}", r#"{"id":7}"#).unwrap_err().contains("x"));
        assert!(fill("{x}", r#"{"x":[1]}"#).is_err());
        assert!(Template::parse("a{b").is_err() && Template::parse("a}b").is_err());
        assert!(Template::parse("{}").is_err() && Template::parse("").is_err());
    }
}
